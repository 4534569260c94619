import ModelCore

/// What objects of PyTorch's own classes, and of timm's that derive from them, always have, so that modules that no file held can be loaded and run.
enum ClassDefaults {
  /// Attributes beside those that a `Layer` tells, as the constructors set them unless asked otherwise.
  static func attributes(of name: ClassName) -> OrderedDictionary<String, Attribute> {
    guard name.isTorchModule else { return TimmClasses.defaults(of: name) }
    if name.module == "torch.nn.modules.dropout" { return ["p": .double(0.5), "inplace": .bool(false)] }
    return table[name.name] ?? [:]
  }

  static let table: [String: OrderedDictionary<String, Attribute>] = [
    "SyncBatchNorm": ["process_group": .none],
    "MultiheadAttention": ["dropout": .double(0), "bias_k": .none, "bias_v": .none, "add_zero_attn": .bool(false)],
    "MaxPool1d": ["return_indices": .bool(false)], "MaxPool2d": ["return_indices": .bool(false)],
    "MaxPool3d": ["return_indices": .bool(false)], "AdaptiveMaxPool1d": ["return_indices": .bool(false)],
    "AdaptiveMaxPool2d": ["return_indices": .bool(false)], "AdaptiveMaxPool3d": ["return_indices": .bool(false)],
    "AvgPool2d": ["divisor_override": .none], "AvgPool3d": ["divisor_override": .none],
    "Upsample": ["name": .string("Upsample"), "align_corners": .none, "recompute_scale_factor": .none],
    "UpsamplingNearest2d": [
      "name": .string("UpsamplingNearest2d"), "align_corners": .none, "recompute_scale_factor": .none,
    ],
    "UpsamplingBilinear2d": [
      "name": .string("UpsamplingBilinear2d"), "align_corners": .bool(true), "recompute_scale_factor": .none,
    ],
    "ZeroPad1d": ["value": .double(0)], "ZeroPad2d": ["value": .double(0)], "ZeroPad3d": ["value": .double(0)],
    "ConstantPad1d": ["value": .double(0)], "ConstantPad2d": ["value": .double(0)],
    "ConstantPad3d": ["value": .double(0)],
    "CELU": ["alpha": .double(1)], "ELU": ["alpha": .double(1)], "GELU": ["approximate": .string("none")],
    "Hardshrink": ["lambd": .double(0.5)], "Softshrink": ["lambd": .double(0.5)],
    "Hardtanh": ["min_val": .double(-1), "max_val": .double(1)],
    "ReLU6": ["min_val": .double(0), "max_val": .double(6)], "LeakyReLU": ["negative_slope": .double(0.01)],
    "PReLU": ["num_parameters": .int(1), "init": .double(0.25)],
    "RReLU": ["lower": .double(1.0 / 8), "upper": .double(1.0 / 3)],
    "Softplus": ["beta": .double(1), "threshold": .double(20)],
    "Threshold": ["threshold": .double(0), "value": .double(0)],
    "Embedding": [
      "padding_idx": .none, "max_norm": .none, "norm_type": .double(2), "scale_grad_by_freq": .bool(false),
      "sparse": .bool(false),
    ],
    "EmbeddingBag": [
      "max_norm": .none, "norm_type": .double(2), "scale_grad_by_freq": .bool(false), "padding_idx": .none,
      "sparse": .bool(false), "include_last_offset": .bool(false),
    ],
  ]

  /// The names under which a layer looks for its parameters and buffers: None stands where one is absent.
  static func tensorNames(of layer: Layer) -> (parameters: [String], buffers: [String]) {
    switch layer {
    case .convolution, .linear, .layerNorm, .groupNorm, .bilinear: (["weight", "bias"], [])
    case .batchNorm(let norm) where norm.isFrozen: ([], ["weight", "bias", "running_mean", "running_var"])
    case .rmsNorm, .embedding: (["weight"], [])
    case .recurrent(let recurrent): (recurrent.suffixes.flatMap(recurrent.weightNames), [])
    case .recurrentCell: (["weight_ih", "weight_hh", "bias_ih", "bias_hh"], [])
    case .batchNorm, .instanceNorm: (["weight", "bias"], ["running_mean", "running_var", "num_batches_tracked"])
    case .multiheadAttention:
      (["in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias"], [])
    case .activation, .softmax, .dropout, .pool, .adaptivePool, .upsample, .pad, .flatten, .pixelShuffle,
      .localResponseNorm, .glu, .powerPool, .unflatten, .channelShuffle, .unfold, .identity, .sequential, .container,
      .opaque:
      ([], [])
    }
  }

  /// What every module has in PyTorch 2, in its order.
  static let structure = [
    "training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_backward_pre_hooks", "_backward_hooks",
    "_is_full_backward_hook", "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_state_dict_hooks", "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_modules",
  ]
}

extension Module {
  /// Sets the attributes of its class that it lacks.
  mutating func fillDefaults() {
    for (name, value) in ClassDefaults.attributes(of: className) where attributes[name] == nil {
      attributes[name] = value
    }
    if className.name == "PReLU", layer == .activation(Activation(.prelu)), let weight = parameters["weight"]?.tensor {
      attributes["num_parameters"] = .int(weight.count)
    }
  }
}
