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

  /// The verdict on a class or function by its name alone.
  init(_ name: ClassName) {
    let top = String(name.module.prefix { $0 != "." })
    if Self.hasDangerousPart(name.name) || Self.dangerousModules.contains(top) {
      self = Self.harmless[name.module]?.contains(name.name) == true ? .safe : .dangerous
    } else if top == "builtins" || top == "__builtin__" {
      self =
        Self.dangerousBuiltins.contains(name.name)
        ? .dangerous : Self.harmlessBuiltins.contains(name.name) ? .safe : .suspicious
    } else if Self.dangerousFunctions[name.module]?.contains(name.name) == true
      || Self.dangerousPackages.contains(where: { name.module == $0 || name.module.hasPrefix($0 + ".") })
    {
      self = .dangerous
    } else {
      self = Self.isKnown(name) ? .safe : .suspicious
    }
  }

  /// Whether a dotted name passes through something that other modules import, such as `sys` or `eval`, or is one of
  /// Python's own.
  static func hasDangerousPart(_ name: String) -> Bool {
    name.split(separator: ".").contains { dangerousNames.contains($0) || $0.hasPrefix("__") }
  }

  private static func isKnown(_ name: ClassName) -> Bool {
    if harmless[name.module]?.contains(name.name) == true { return true }
    // The types of a TorchScript archive: its own interpreter makes them, not Python.
    if name.module == "__torch__" || name.module.hasPrefix("__torch__.") { return true }
    let isClass = name.name.first?.isUppercase == true && !name.name.contains(".")
    if name.module == "torch" {
      return name.name.hasSuffix("Storage") || TorchTypes.dtype(named: name) != nil
        || ["Size", "device", "Tensor"].contains(name.name)
    }
    if name.module.hasPrefix("torch.nn.modules.") || name.module == "torch.nn.parameter" { return isClass }
    return name.module == "torch._utils" && name.name.hasPrefix("_rebuild_")
  }

  /// Whether Python may call this when a file is written again.
  ///
  /// What every Python that loads checkpoints has, the standard library, PyTorch, torchvision and NumPy, is called
  /// where it is known to make data and nothing else; PyTorch's, torchvision's and NumPy's objects are also made
  /// without arguments. Of other packages, whose code nobody else's file can count on, objects are made, and classes
  /// called that are spelled as such; functions are not.
  static func mayCall(_ name: ClassName, isNew: Bool, hasArguments: Bool) -> Bool {
    let verdict = PickleVerdict(name)
    guard verdict == .suspicious else { return verdict == .safe }
    if harmlessWhenCalled[name.module]?.contains(name.name) == true { return true }
    let top = String(name.module.prefix { $0 != "." })
    // The builtins spelled as classes are exceptions.
    if top == "builtins" || top == "exceptions" { return name.name.first?.isUppercase == true }
    if standardLibrary.contains(top) { return false }
    if ["torch", "torchvision", "numpy"].contains(top) { return isNew && !hasArguments }
    return isNew || name.name.split(separator: ".").last?.first { $0 != "_" }?.isUppercase == true
  }

  /// Functions of which an audit has something to say, but whose calls have no effect.
  private static let harmlessWhenCalled: [String: Set<String>] = [
    "functools": ["partial"], "re": ["_compile"], "logging": ["getLogger"], "random": ["Random"],
    "array": ["array", "_array_reconstructor"], "itertools": ["count", "repeat"], "time": ["struct_time"],
    "collections": ["UserDict", "UserList", "UserString", "ChainMap"], "zoneinfo": ["ZoneInfo._unpickle"],
    "builtins": ["enumerate", "reversed", "zip", "iter"], "__builtin__": ["enumerate", "reversed", "iter"],
    "torchvision.transforms.functional": ["InterpolationMode"],
    "numpy.random": ["__RandomState_ctor"], "numpy.random._pickle": ["__randomstate_ctor", "__generator_ctor"],
    "numpy.core.numeric": ["_frombuffer"], "numpy._core.numeric": ["_frombuffer"],
  ]

  private static let harmless: [String: Set<String>] = [
    "collections": ["OrderedDict", "defaultdict", "Counter", "deque"],
    "copyreg": ["_reconstructor", "__newobj__"], "copy_reg": ["_reconstructor", "__newobj__"],
    "_codecs": ["encode"], "argparse": ["Namespace"], "types": ["SimpleNamespace"], "uuid": ["UUID"],
    "datetime": ["datetime", "date", "time", "timedelta", "timezone"], "decimal": ["Decimal"],
    "fractions": ["Fraction"],
    "pathlib": ["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"],
    "pathlib._local": ["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"],
    "numpy": ["dtype", "ndarray", "float64", "float32", "int64", "int32", "bool_"],
    "numpy.core.multiarray": ["_reconstruct", "scalar"], "numpy._core.multiarray": ["_reconstruct", "scalar"],
    "torch.storage": ["UntypedStorage", "TypedStorage"],
    "torch.serialization": ["_get_layout"], "torch._tensor": ["_rebuild_from_type_v2", "_rebuild_from_type"],
    "torch.autograd": ["Variable"],
    "torch.jit._pickle": [
      "restore_type_tag", "build_intlist", "build_doublelist", "build_boollist", "build_tensorlist",
      "build_tensor_from_id",
    ],
  ]
  private static let harmlessBuiltins: Set<String> = [
    "set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bool", "str", "bytes", "bytearray",
    "object", "slice", "range", "xrange", "long", "unicode", "Ellipsis", "NotImplemented", "NoneType", "ellipsis",
  ]
  private static let dangerousBuiltins: Set<String> = [
    "eval", "exec", "execfile", "compile", "__import__", "open", "file", "getattr", "setattr", "delattr", "globals",
    "locals", "vars", "input", "raw_input", "breakpoint", "apply", "map", "filter", "reduce",
  ]
  /// Modules of the standard library, and a few others, with which commands, code, files or the network are a call
  /// away.
  private static let dangerousModules: Set<String> = [
    "os", "posix", "posixpath", "nt", "ntpath", "subprocess", "commands", "sys", "runpy", "socket", "socketserver",
    "pty", "shutil", "importlib", "imp", "ctypes", "_ctypes", "code", "codeop", "pdb", "bdb", "webbrowser",
    "asyncio", "multiprocessing", "_posixsubprocess", "pickle", "_pickle", "marshal", "timeit", "cProfile",
    "profile", "trace", "pip", "requests", "http", "httplib", "urllib", "urllib2", "urllib3", "aiohttp",
    "ensurepip", "idlelib", "venv", "uuid", "pydoc", "pkgutil", "imaplib", "ftplib", "smtplib", "poplib",
    "telnetlib", "xmlrpc", "ssl", "doctest", "test", "unittest", "distutils", "setuptools", "lib2to3",
    "_osx_support", "_aix_support", "_pyrepl", "tempfile", "sqlite3", "shelve", "dbm", "zipimport", "site",
    "sysconfig", "platform", "cloudpickle", "dill", "joblib", "concurrent", "signal", "gc", "nturl2path",
    "antigravity", "psutil", "pexpect", "ptyprocess", "paramiko", "fabric", "plumbum", "sh", "invoke",
  ]
  /// Packages within libraries that checkpoints name for good reasons otherwise.
  private static let dangerousPackages: [String] = [
    "numpy.f2py", "numpy.testing", "numpy.distutils", "numpy.ctypeslib", "torch.hub", "torch._dynamo",
    "torch._inductor", "torch.fx.experimental", "torch.utils.cpp_extension", "torch.utils.bottleneck",
    "torch.utils.collect_env", "torch.utils._config_module", "torch.utils.data.datapipes",
    "torch.jit.unsupported_tensor_ops", "torch.package", "torch.distributed.elastic", "torch.distributed.run",
    "torch.multiprocessing", "logging.config",
  ]
  private static let dangerousFunctions: [String: Set<String>] = [
    "operator": ["attrgetter", "methodcaller", "itemgetter"],
    "_operator": ["attrgetter", "methodcaller", "itemgetter"],
    "types": ["CodeType", "FunctionType", "LambdaType"], "_io": ["FileIO", "open", "open_code"],
    "io": ["FileIO", "open", "open_code"], "codecs": ["open"], "logging": ["FileHandler"],
    "numpy": ["load", "fromfile"],
    "pandas": ["read_pickle"], "pandas.io.pickle": ["read_pickle"], "torch": ["load", "compile"],
    "torch.serialization": ["load"], "torch.storage": ["_load_from_bytes"],
  ]
  /// Modules and functions that other modules import, so that they can be reached as attributes of those.
  private static let dangerousNames: Set<Substring> = [
    "os", "posix", "nt", "subprocess", "sys", "runpy", "socket", "pty", "shutil", "importlib", "ctypes", "builtins",
    "eval", "exec", "system", "popen", "Popen", "spawn",
  ]
}
