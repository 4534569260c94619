import ModelCore

/// How much harm a pickle, or something that it names, can do when Python loads it.
public enum PickleVerdict: String, Sendable, Codable, Comparable {
  /// What PyTorch itself writes: data and PyTorch's own classes.
  case safe
  /// Code that is not known here: a model's own classes, for example.
  case suspicious
  /// Runs commands or code, or reaches files or the network.
  case dangerous

  private var rank: Int {
    switch self {
    case .safe: 0
    case .suspicious: 1
    case .dangerous: 2
    }
  }

  public static func < (a: PickleVerdict, b: PickleVerdict) -> Bool { a.rank < b.rank }

  /// The verdict on a class or function that is named, by its name alone: of the standard library only what is on a
  /// list is less than dangerous.
  init(naming name: ClassName) {
    if Self.isKnownCall(name) || Self.isHarmlessName(name) {
      self = .safe
    } else if Self.hasDangerousPart(name.name) || Self.isStandardLibrary(name.module)
      || Self.dangerousModules.contains(Self.top(name.module))
      || Self.dangerousFunctions[name.module]?.contains(name.name) == true
      || Self.dangerousPackages.contains(where: { (name.module + ".").hasPrefix($0 + ".") })
    {
      self = .dangerous
    } else {
      self = .suspicious
    }
  }

  /// The verdict on a call of a class or function.
  ///
  /// What every Python that loads checkpoints has, the standard library, PyTorch, torchvision and NumPy, is called
  /// where it is known to make data and nothing else; PyTorch's, torchvision's and NumPy's objects are also made
  /// without arguments. Of other packages, whose code nobody else's file can count on, objects are made, and classes
  /// called that are spelled as such; functions are not.
  init(calling name: ClassName, isNew: Bool, hasArguments: Bool) {
    guard !Self.isKnownCall(name) else {
      self = .safe
      return
    }
    // What may be named need not be called.
    let isMerelyNamed = Self.isHarmlessName(name)
    guard isMerelyNamed || PickleVerdict(naming: name) != .dangerous else {
      self = .dangerous
      return
    }
    if Self.isStandardLibrary(name.module) {
      self = Self.isException(name) ? .safe : .dangerous
    } else if ["torch", "torchvision", "numpy"].contains(Self.top(name.module)) {
      let isObject = isNew && !hasArguments
      self = isObject ? Self.isPlainObject(name) ? .safe : .suspicious : .dangerous
    } else {
      let isClass = isNew || name.name.split(separator: ".").last?.first { $0 != "_" }?.isUppercase == true
      self = isClass ? .suspicious : .dangerous
    }
  }

  /// Whether a dotted name passes through something that other modules import, such as `sys` or `eval`, or is one of
  /// Python's own.
  static func hasDangerousPart(_ name: String) -> Bool {
    name.split(separator: ".").contains { dangerousNames.contains($0) || $0.hasPrefix("__") }
  }

  /// Whether a class is neither Python's, PyTorch's, torchvision's nor NumPy's, nor of a package known to be dangerous.
  static func isOfTheModel(_ name: ClassName) -> Bool {
    !isStandardLibrary(name.module) && !["torch", "torchvision", "numpy"].contains(top(name.module))
      && PickleVerdict(naming: name) == .suspicious
  }

  /// Whether a class is one of PyTorch's whose methods may be held, as a model holds `torch.tanh`, and a traced graph a
  /// method of its nodes. They are not called.
  static func lendsMethods(_ name: ClassName) -> Bool {
    name.isTorchModule && isKnownCall(name) || name == ClassName("torch", "Tensor")
      || name == ClassName("torch.fx.node", "Node")
      || name.module == "torch._C"
        && ["_VariableFunctionsClass", "_VariableFunctions", "TensorBase"].contains(name.name)
  }

  private static func top(_ module: String) -> String { String(module.prefix { $0 != "." }) }

  /// Whether a module comes with Python. `code.models` does not, for `code` is no package: a user's own is called so.
  private static func isStandardLibrary(_ module: String) -> Bool {
    let parts = module.split(separator: ".", maxSplits: 2)
    guard let top = parts.first.map(String.init), standardLibrary.contains(top) else { return false }
    guard parts.count > 1 else { return true }
    if top == "test" { return ["support", "libregrtest"].contains(parts[1]) || parts[1].hasPrefix("test_") }
    return standardPackages.contains(top)
  }

  private static func isException(_ name: ClassName) -> Bool {
    ["builtins", "exceptions"].contains(name.module) && name.name.first?.isUppercase == true
      && !name.name.contains(".")
  }

  /// What makes data and nothing else when it is called.
  private static func isKnownCall(_ name: ClassName) -> Bool {
    if harmless[name.module]?.contains(name.name) == true { return true }
    if name.module == "builtins" || name.module == "__builtin__" { return harmlessBuiltins.contains(name.name) }
    // The types of a TorchScript archive: its own interpreter makes them, not Python.
    if name.module == "__torch__" || name.module.hasPrefix("__torch__.") { return true }
    let isClass = name.name.first?.isUppercase == true && !name.name.contains(".")
    if name.module == "torch" {
      return name.name.hasSuffix("Storage") && isClass || TorchTypes.dtype(named: name) != nil
        || ["Size", "device", "Tensor"].contains(name.name)
    }
    return (name.module.hasPrefix("torch.nn.modules.") || name.module == "torch.nn.parameter") && isClass
  }

  /// What does nothing as long as it is not called: types, functions of numbers, constants.
  private static func isHarmlessName(_ name: ClassName) -> Bool {
    guard !name.name.contains("."), !hasDangerousPart(name.name) else { return false }
    if harmlessNames[name.module]?.contains(name.name) == true || isException(name) || isPlainObject(name) {
      return true
    }
    let isType = name.name.first?.isUppercase == true
    switch name.module {
    case "typing", "collections.abc", "_collections_abc", "numbers": return isType
    case "numpy.random._mt19937", "numpy.random._pcg64", "numpy.random._philox", "numpy.random._sfc64",
      "numpy.random.bit_generator", "numpy.random._generator", "numpy.random.mtrand":
      return isType
    case "torch": return torchConstants.contains(name.name)
    case "torch.nn.functional", "torch._C._nn": return !isType
    default: return false
    }
  }

  /// PyTorch's own objects that hold a training's state.
  private static func isPlainObject(_ name: ClassName) -> Bool {
    guard name.name.first?.isUppercase == true, !name.name.contains(".") else { return false }
    return ["torch.optim.", "torch.amp.", "torch.cuda.amp."].contains { name.module.hasPrefix($0) }
  }

  private static let harmless: [String: Set<String>] = [
    "collections": [
      "OrderedDict", "defaultdict", "Counter", "deque", "UserDict", "UserList", "UserString", "ChainMap",
    ],
    "copyreg": ["_reconstructor", "__newobj__"], "copy_reg": ["_reconstructor", "__newobj__"],
    "_codecs": ["encode"], "argparse": ["Namespace"], "types": ["SimpleNamespace"], "uuid": ["UUID"],
    "datetime": ["datetime", "date", "time", "timedelta", "timezone"], "decimal": ["Decimal"],
    "fractions": ["Fraction"], "functools": ["partial"], "re": ["_compile"], "logging": ["getLogger"],
    "random": ["Random"], "array": ["array", "_array_reconstructor"], "itertools": ["count", "repeat"],
    "time": ["struct_time"], "zoneinfo": ["ZoneInfo._unpickle"],
    "pathlib": ["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"],
    "pathlib._local": ["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"],
    "numpy": ["dtype", "ndarray", "float64", "float32", "int64", "int32", "bool_"],
    "numpy.core.multiarray": ["_reconstruct", "scalar"], "numpy._core.multiarray": ["_reconstruct", "scalar"],
    "numpy.core.numeric": ["_frombuffer"], "numpy._core.numeric": ["_frombuffer"],
    "numpy.random": ["__RandomState_ctor", "__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"],
    "numpy.random._pickle": [
      "__RandomState_ctor", "__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor",
    ],
    "numpy.random.bit_generator": ["__pyx_unpickle_SeedSequence"],
    "torch.storage": ["UntypedStorage", "TypedStorage"], "torch.torch_version": ["TorchVersion"],
    "torch.serialization": ["_get_layout"], "torch._tensor": ["_rebuild_from_type_v2", "_rebuild_from_type"],
    "torch.autograd": ["Variable"], "torch._C": ["Generator"],
    "torch.fx.graph": ["CodeGen", "Graph", "_FindNodesLookupTable", "_Namespace"], "torch.fx.node": ["Node"],
    "torch.fx.immutable_collections": ["immutable_dict", "immutable_list"],
    "torch.nn.backends.thnn": ["_get_thnn_function_backend"],
    "torchvision.transforms.functional": ["InterpolationMode"],
    "torch._utils": [
      "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
      "_rebuild_parameter_with_state", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_nested_tensor",
      "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_xla_tensor",
      "_rebuild_meta_tensor_no_storage", "_rebuild_wrapper_subclass", "_rebuild_qtensor",
    ],
    "torch.jit._pickle": [
      "restore_type_tag", "build_intlist", "build_doublelist", "build_boollist", "build_tensorlist",
      "build_tensor_from_id",
    ],
  ]
  private static let harmlessBuiltins: Set<String> = [
    "set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bool", "str", "bytes", "bytearray",
    "object", "slice", "range", "xrange", "long", "unicode", "Ellipsis", "NotImplemented", "NoneType", "ellipsis",
    "enumerate", "reversed", "zip",
  ]
  /// Of the standard library, what may be named; whether it may be called is another question.
  private static let harmlessNames: [String: Set<String>] = [
    "builtins": [
      "abs", "all", "any", "ascii", "bin", "callable", "chr", "divmod", "format", "hash", "hex", "id",
      "isinstance",
      "issubclass", "len", "max", "min", "oct", "ord", "pow", "print", "repr", "round", "sorted", "sum", "type",
      "property", "staticmethod", "classmethod",
    ],
    "__builtin__": [
      "abs", "all", "any", "bin", "callable", "chr", "cmp", "divmod", "format", "hash", "hex", "id",
      "isinstance",
      "issubclass", "len", "max", "min", "oct", "ord", "pow", "repr", "round", "sorted", "sum", "type", "basestring",
    ],
    "abc": ["ABC", "ABCMeta"], "enum": ["Enum", "IntEnum", "Flag", "IntFlag", "StrEnum", "EnumMeta", "EnumType"],
    "types": ["NoneType", "UnionType", "GenericAlias", "EllipsisType", "NotImplementedType", "MappingProxyType"],
    "math": [
      "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "erf", "exp", "expm1", "fabs",
      "floor", "gcd", "hypot", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "pow", "prod", "sin",
      "sinh", "sqrt", "tan", "tanh", "trunc", "e", "inf", "nan", "pi", "tau",
    ],
    "operator": operators, "_operator": operators,
    "torch.fx": ["Tracer"], "torch.fx._symbolic_trace": ["Tracer"],
    "torchvision.models.feature_extraction": ["LeafModuleAwareTracer", "NodePathTracer"],
  ]
  private static let operators: Set<String> = [
    "abs", "add", "and_", "eq", "floordiv", "ge", "getitem", "gt", "invert", "le", "lt", "mod", "mul", "ne", "neg",
    "not_", "or_", "pos", "pow", "sub", "truediv", "xor", "matmul",
  ]
  private static let torchConstants: Set<String> = [
    "strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged", "contiguous_format",
    "channels_last", "channels_last_3d", "preserve_format", "per_tensor_affine", "per_channel_affine",
    "per_tensor_symmetric", "per_channel_symmetric", "per_channel_affine_float_qparams", "qint8", "quint8", "qint32",
    "quint4x2", "quint2x4",
  ]
  /// Beyond the standard library, packages with which commands, code, files or the network are a call away.
  private static let dangerousModules: Set<String> = [
    "pip", "requests", "urllib3", "aiohttp", "httplib2", "httpx", "setuptools", "pkg_resources", "cloudpickle", "dill",
    "joblib", "psutil", "pexpect", "ptyprocess", "paramiko", "fabric", "plumbum", "sh", "invoke", "IPython",
    "jsonpickle", "cffi", "_cffi_backend", "pycparser",
  ]
  /// Packages within libraries that checkpoints name for good reasons otherwise.
  private static let dangerousPackages: [String] = [
    "numpy.f2py", "numpy.testing", "numpy.distutils", "numpy.ctypeslib", "torch.hub", "torch._dynamo",
    "torch._inductor", "torch.fx.experimental", "torch.utils.cpp_extension", "torch.utils.bottleneck",
    "torch.utils.collect_env", "torch.utils._config_module", "torch.utils.data.datapipes",
    "torch.jit.unsupported_tensor_ops", "torch.package", "torch.distributed.elastic", "torch.distributed.run",
    "torch.multiprocessing",
  ]
  private static let dangerousFunctions: [String: Set<String>] = [
    "numpy": ["load", "fromfile"], "pandas": ["read_pickle"], "pandas.io.pickle": ["read_pickle"],
    "torch": ["load", "compile"], "torch.serialization": ["load"], "torch.storage": ["_load_from_bytes"],
  ]
  /// Modules and functions that other modules import, so that they can be reached as attributes of those.
  private static let dangerousNames: Set<Substring> = [
    "os", "posix", "nt", "subprocess", "sys", "runpy", "socket", "pty", "shutil", "importlib", "ctypes", "builtins",
    "eval", "exec", "system", "popen", "Popen", "spawn",
  ]
}
