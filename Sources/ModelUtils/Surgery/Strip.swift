import ModelCheckpoints
import ModelCore

/// What `strip` did.
public struct StripReport: Sendable, Codable, CustomStringConvertible {
  /// The type that floating parameters and buffers have now.
  public let dtype: DType
  /// Whether the average took the model's place.
  public let usedAverage: Bool
  /// What became infinite; empty unless that was allowed.
  public let overflows: [Overflow]

  /// The key under which the average stood that is the model now; nil where none was used.
  public let average: String?
  /// The keys under which something else stood that only training needs.
  public let removed: [String]

  public var description: String {
    usedAverage ? "The average became the model, as \(dtype.rawValue)" : "As \(dtype.rawValue)"
  }
}

extension Checkpoint {
  /// Makes a training checkpoint one for inference: YOLOv5's `strip_optimizer`, for other programs' checkpoints too.
  ///
  /// In a file that is a dict the average of the weights (`ema`, `ema.module`, `state_dict_ema`, `params_ema`, …) takes
  /// the place of the model that it averages. What else only training needs goes: `optimizer`, `best_fitness`, `ema` of
  /// whole modules and `updates` become None and `epoch` -1 where there are such; `optimizer_states`, `lr_schedulers`,
  /// scalers, further averages are taken out. The floating parameters and buffers of the model become `dtype`, for a
  /// YOLOv5 detection or segmentation model those of its last layer's `stride`, `grid` and `anchor_grid` too, nothing
  /// requires a gradient any more, and every tensor of the file is said to be the processor's, so that it loads
  /// anywhere. A bare state dict is converted, no more; the original takes only whole modules, and adds the entries that
  /// a file never had.
  /// - Parameter allowOverflow: whether finite numbers may become infinite, as the original lets them.
  /// - Throws: `ModelError` that names the tensors in which finite numbers would become infinite, for one that cannot be
  ///   read, or for an average that is not understood; the checkpoint is then as it was.
  @discardableResult
  public mutating func strip(to dtype: DType = .float16, allowOverflow: Bool = false) throws -> StripReport {
    var stripped = self
    let promotion = try stripped.promoteAverage()
    let all = Array(stripped.models.keys)
    let chosen = promotion.map { [$0.model] } ?? (all.contains("model") ? ["model"] : all)
    var overflows: [Overflow] = []
    for key in chosen {
      if let state = stripped.models[key]?.stateDict() { overflows += try state.overflows(in: dtype) }
    }
    if !overflows.isEmpty, !allowOverflow {
      let names = overflows.prefix(8).map(\.name).joined(separator: ", ") + (overflows.count > 8 ? ", …" : "")
      throw ModelError(
        .limit,
        "finite numbers would become infinite in \(dtype.rawValue): \(names)", file: name,
        advice: "keep more with --dtype bfloat16 or float32, or give --allow-overflow")
    }
    let removed = stripped.dropTrainingState(keeping: promotion.map { [$0.model] } ?? all)
    stripped.moveToCPU()
    let name = name
    try stripped.updateModels { key, model in
      guard chosen.contains(key) else { return }
      do { try model.convert(to: dtype) } catch let error as ModelError { throw error.inFile(name) }
      if case .module(var module) = model {
        model = .stateDict(StateDict())
        try module.convertHead(to: dtype)
        module.requireNoGradients()
        model = .module(module)
      }
    }
    self = stripped
    return StripReport(
      dtype: dtype, usedAverage: promotion != nil, overflows: overflows, average: promotion?.average, removed: removed)
  }
}

extension Module {
  /// Freezes every parameter, as `requires_grad_(False)`.
  public mutating func requireNoGradients() {
    updateModules { _, module in
      for index in module.parameters.values.indices { module.parameters.values[index].requiresGrad = false }
    }
  }

  /// Converts what the last layer of a YOLOv5 detection or segmentation model keeps as plain attributes, and what
  /// `module.to(dtype)` passes over.
  fileprivate mutating func convertHead(to dtype: DType) throws {
    let models = ["DetectionModel", "SegmentationModel", "BaseModel", "Model"].map { "models.yolo.\($0)" }
    guard models.contains(where: { className.hasSuffix($0) }), let last = children["model"]?.children.values.last,
      ["models.yolo.Detect", "models.yolo.Segment"].contains(where: { last.className.hasSuffix($0) })
    else { return }
    try updateModules { _, module in
      guard module.identity == last.identity else { return }
      for name in ["stride", "grid", "anchor_grid"] {
        module.attributes[name] = try module.attributes[name]?.mapTensors {
          $0.dtype.isFloatingPoint && $0.dtype != dtype ? try $0.converted(to: dtype) : $0
        }
      }
    }
  }
}
