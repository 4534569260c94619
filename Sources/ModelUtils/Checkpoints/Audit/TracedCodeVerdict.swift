import ModelCore

/// What code that torch.fx has written would do when Python runs it on symbolic tensors.
extension TracedCode {
  /// What it would do beyond noting a network's operations, in words; nil where it does nothing more.
  /// - Parameter isSubmodule: whether a path leads to a submodule of the network.
  func danger(isSubmodule: @escaping (String) -> Bool) -> String? {
    for imported in imports.values.sorted(by: { $0.description < $1.description }) {
      // What it looks up with `getattr` is judged where it does.
      let isFine =
        imported.name.isEmpty
        ? Self.modules.contains(imported.module)
        : PickleVerdict(naming: imported) != .dangerous || imported == ClassName("builtins", "getattr")
      if !isFine { return "code that imports \(imported)" }
    }
    for annotation in annotations {
      if let what = danger(ofAnnotation: annotation) { return what }
    }
    for standard in parameters.compactMap(\.standard) {
      if let what = danger(of: standard, isSubmodule) { return what }
    }
    for statement in statements {
      switch statement {
      case .assign(_, let value), .giveBack(let value):
        if let what = danger(of: value, isSubmodule) { return what }
      }
    }
    return nil
  }

  private func danger(of expression: Expression, _ isSubmodule: @escaping (String) -> Bool) -> String? {
    if let path = Self.path(expression) {
      // A parameter, buffer or attribute of the network.
      return path.isEmpty || path.split(separator: ".").contains { $0.hasPrefix("__") }
        ? "code that takes \(path.isEmpty ? "the network itself" : path)" : nil
    }
    if let name = global(expression) {
      return PickleVerdict(naming: name) == .safe ? nil : "code that takes \(name)"
    }
    switch expression {
    case .none, .ellipsis, .bool, .int, .double, .string, .name: return nil
    case .attribute(let base, let name):
      return Self.attributes.contains(name) ? danger(of: base, isSubmodule) : "code that takes an attribute \(name)"
    case .unary(_, let value): return danger(of: value, isSubmodule)
    case .item(let first, let second), .binary(_, let first, let second):
      return danger(of: first, isSubmodule) ?? danger(of: second, isSubmodule)
    case .slice(let from, let to, let step):
      return [from, to, step].lazy.compactMap { danger(of: $0, isSubmodule) }.first
    case .tuple(let items), .list(let items): return items.lazy.compactMap { danger(of: $0, isSubmodule) }.first
    case .dict(let keys, let values):
      return (keys + values).lazy.compactMap { danger(of: $0, isSubmodule) }.first
    case .call(let callee, let arguments):
      return danger(ofCalling: callee, arguments, isSubmodule)
        ?? arguments.lazy.compactMap { danger(of: $0.value, isSubmodule) }.first
    }
  }

  private func danger(
    ofCalling callee: Expression, _ arguments: [Argument], _ isSubmodule: @escaping (String) -> Bool
  ) -> String? {
    if let path = Self.path(callee) {
      return isSubmodule(path) ? nil : "code that calls \(path), which is no submodule"
    }
    if callee == .name("getattr") {
      guard arguments.count == 2, case .string(let name) = arguments[1].value, Self.attributes.contains(name) else {
        return "code that looks attributes up"
      }
      return nil
    }
    if let name = global(callee) { return Self.isOfTensors(name) ? nil : "code that calls \(name)" }
    switch callee {
    case .attribute(let base, let method):
      return Self.functions.contains(method) ? danger(of: base, isSubmodule) : "code that calls a method \(method)"
    default: return "code that calls what it has computed"
    }
  }

  private func danger(ofAnnotation annotation: Expression) -> String? {
    if let name = global(annotation) {
      return PickleVerdict(naming: name) == .dangerous ? "code that names \(name)" : nil
    }
    switch annotation {
    case .none, .string, .name: return nil
    case .item(let first, let second): return danger(ofAnnotation: first) ?? danger(ofAnnotation: second)
    case .tuple(let items), .list(let items): return items.lazy.compactMap { danger(ofAnnotation: $0) }.first
    default: return "code that computes types"
    }
  }

  /// Whether a name is one of `nn.Module`'s methods, which would be called in a submodule's place.
  static func isMethodOfModules(_ name: String) -> Bool {
    methodsOfModules.contains(name) || name.hasPrefix("register_") || name.hasPrefix("__")
  }

  /// Whether a function only computes tensors from tensors and numbers.
  private static func isOfTensors(_ name: ClassName) -> Bool {
    switch name.module {
    case "torch", "torch.functional", "torch.nn.functional", "torch._C._nn", "torch._C._VariableFunctions", "operator",
      "_operator", "math":
      functions.contains(name.name)
    default: torchvisionFunctions.contains(name.description)
    }
  }

  /// torchvision's functions that tracing does not look into.
  private static let torchvisionFunctions: Set<String> = [
    "torchvision.ops.stochastic_depth.stochastic_depth",
    "torchvision.models.swin_transformer._get_relative_position_bias",
    "torchvision.models.swin_transformer._patch_merging_pad",
    "torchvision.models.swin_transformer.shifted_window_attention",
  ]

  private static let modules: Set<String> = [
    "torch", "torch.fx", "torch.fx._pytree", "torch.utils._pytree", "torchvision", "math", "operator",
  ]

  /// Attributes of tensors that are data.
  private static let attributes: Set<String> = [
    "shape", "dtype", "device", "layout", "ndim", "T", "mT", "H", "mH", "real", "imag", "data", "is_cuda",
    "requires_grad",
  ]

  /// Functions and methods of tensors, and of numbers, that compute and do nothing else.
  private static let functions = Set(
    """
    _assert abs abs_ absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add add_ addmm all alpha_dropout amax amin and_ any
    arange argmax argmin argsort asin atan avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bitwise_and bitwise_not
    bitwise_or bmm bool broadcast_to cat ceil celu channel_shuffle chunk clamp clamp_ clamp_max clamp_min clip clone
    concat concatenate contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cos cosh cpu
    cumprod cumsum detach device diag diagonal diff dim div div_ dropout dropout1d dropout2d dropout3d dropout_ einsum
    elu elu_ embedding empty empty_like eq erf exp exp_ expand expand_as expm1 eye feature_alpha_dropout
    feature_dropout fill_ flatten flip float floor floor_divide floordiv fmod fold frac full full_like gather ge gelu
    getitem glu grid_sample group_norm gt half hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh
    hardtanh_ hypot iadd imul index_select instance_norm int interpolate inv invert isub is_floating_point isfinite
    isinf isnan kron layer_norm le leaky_relu leaky_relu_ lerp linear linspace local_response_norm log log10 log1p
    log2 log_softmax logical_and logical_not logical_or logit logsigmoid logsumexp long lp_pool1d lp_pool2d lt
    masked_fill masked_fill_ matmul max max_pool1d max_pool2d max_pool3d maximum mean median meshgrid min minimum mish
    mm mod moveaxis movedim mul mul_ multiply narrow ne neg neg_ negative new_empty new_full new_ones new_zeros norm
    normalize not_ numel one_hot ones ones_like or_ outer pad permute pixel_shuffle pixel_unshuffle pos pow prelu prod
    ravel reciprocal relu relu6 relu_ remainder repeat repeat_interleave reshape reshape_as rms_norm roll round rrelu
    rsqrt rsub scaled_dot_product_attention scatter select selu selu_ sigmoid sigmoid_ sign silu silu_ sin sinh size
    softmax softmin softplus softshrink softsign sort split sqrt square squeeze stack std sub sub_ subtract sum
    swapaxes swapdims t take tan tanh tanh_ tanhshrink tensor_split threshold tile to topk transpose tril triu
    true_divide truediv trunc type_as unbind unflatten unfold unsqueeze unsqueeze_ upsample upsample_bilinear
    upsample_nearest var view view_as where xor zeros zeros_like
    """.split { $0 == " " || $0 == "\n" }.map(String.init))

  private static let methodsOfModules: Set<String> = [
    "add_module", "apply", "bfloat16", "buffers", "children", "compile", "cpu", "cuda", "double", "eval", "extra_repr",
    "float", "forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half", "ipu",
    "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules", "named_parameters",
    "parameters", "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty",
    "train", "type", "xpu", "zero_grad",
  ]
}
