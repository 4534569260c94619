import ModelCheckpoints
import ModelCore
import ModelGraph

extension ONNXModel {
  /// What the model must be given: its inputs but for those that are weights with a value of their own.
  public var openInputs: [ONNXValueInfo] {
    let initialized = Set(graph.initializers.map(\.name) + graph.sparseInitializers.map(\.values.name))
    return graph.inputs.filter { !initialized.contains($0.name) }
  }

  /// The first input that is a picture [batch, 3, height, width], with the height and width that it takes.
  /// - Throws: as `trace(_:)`, for shapes that contradict the model.
  public func pictureInput(_ inputs: ONNXInputs = ONNXInputs()) throws -> (name: String, size: [Int])? {
    var symbols = ONNXSymbols()
    let shapes = try inputs.shapes(of: openInputs, self, &symbols)
    for input in openInputs where inputs.values[input.name] == nil {
      if let shape = shapes[input.name], shape.count == 4, shape[1] == 3 { return (input.name, Array(shape[2...])) }
    }
    return nil
  }
}

extension ONNXValueInfo {
  private var tensorType: (dtype: DType, shape: [Dimension]?)? {
    guard case .tensor(let element, let shape) = kind, let dtype = element.dtype else { return nil }
    return (dtype, shape)
  }

  /// A tensor of its type and shape, open axes of length 1, whose elements are all one number.
  /// - Throws: `ModelError` where it is no tensor of numbers, or larger than an input that is given by value.
  public func tensor(filledWith value: Double) throws -> Tensor {
    guard let type = tensorType else { throw ModelError(.unsupported, "is no tensor of numbers", subject: name) }
    let shape = (type.shape ?? []).map { if case .fixed(let length) = $0, length > 0 { length } else { 1 } }
    guard let count = Tensor.elementCount(shape), count <= 1 << 16 else {
      throw ModelError(.limit, "is too large to be given as one number", subject: name)
    }
    return try ReferenceArray(TensorType(.float64, shape), [Double](repeating: value, count: count)).tensor()
      .cast(to: type.dtype)
  }

  /// A shape that it may be given, as `audio=1x512`: its own number of axes, open ones filled for the example's sake.
  public var exampleShape: String {
    let open = (tensorType?.shape ?? [.unknown, .unknown]).enumerated().map { axis, dimension in
      if case .fixed(let length) = dimension, length > 0 { return "\(length)" }
      return axis == 0 ? "1" : "16"
    }
    return "\(name)=\(open.joined(separator: "x"))"
  }

  /// A tensor in the type that the input has.
  public func converted(_ tensor: Tensor) throws -> Tensor {
    guard let dtype = tensorType?.dtype else { return tensor }
    do { return try tensor.cast(to: dtype) } catch let error as ModelError { throw error.about(name) }
  }
}
