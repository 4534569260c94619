import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelSurgery

extension Module {
  /// What the module computes in evaluation mode, with float32 weights and pruning masks applied.
  /// - Parameter types: of the tensors that it takes.
  /// - Throws: `ModelError` for classes whose forward is not known, and for shapes that do not fit.
  public func evaluationGraph(for types: [TensorType]) throws -> Graph {
    var plain = self
    try plain.applyMasks()
    var graph = try Graph(plain, inputs: types)
    try graph.convert(to: .float32)
    return graph
  }

  /// Computes the outputs for some inputs. To run often keep a `Plan` and a `Session`.
  /// - Throws: `ModelError` as `evaluationGraph` and `Plan` do.
  public func run(
    _ inputs: [Tensor], precision: Precision = .float32, on backend: some Backend = .cpu
  ) throws -> [Tensor] {
    let types = inputs.map { TensorType($0.dtype, $0.shape) }
    let plan = try Plan(evaluationGraph(for: types), for: types, precision: precision, on: backend)
    return try Session(plan).run(inputs)
  }

  /// Height and width of the pictures that the model is meant for: what timm's and torchvision's classes say of
  /// themselves, 640 for YOLO's detectors, 224 for everything else.
  public var pictureSize: (height: Int, width: Int) {
    if let size = attributes["image_size"]?.intValue, size > 0 { return (size, size) }
    for key in ["pretrained_cfg", "default_cfg"] {
      let entries = attributes[key]?.entriesValue ?? []
      let size = entries.first { $0.key == .string("input_size") }?.value.intsValue ?? []
      if size.count == 3, size.allSatisfy({ $0 > 0 }) { return (size[1], size[2]) }
    }
    return attributes["stride"] != nil ? (640, 640) : (224, 224)
  }
}

extension Checkpoint {
  /// The preferred model as a module whose forward can be looked up: itself, or the built-in architecture that a bare
  /// state dict is recognised as.
  /// - Throws: `ModelError` for a bare state dict that is not recognised, and for an ONNX model.
  public func computableModule() throws -> Module {
    if onnx != nil {
      throw ModelError(
        .unsupported, "is an ONNX model, of nodes and not of modules", file: name,
        advice: "give the PyTorch file that it was exported from")
    }
    if let module = preferred.module { return module }
    guard let known = preferred.stateDict().recognized() else {
      throw ModelError(
        .unsupported, "is a bare state dict of no known architecture, which does not say what its layers compute",
        file: name, advice: "use a file that holds the whole module")
    }
    return known.module
  }
}
