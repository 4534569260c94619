import ModelCheckpoints
import ModelCore

/// What an ONNX model is, what it holds and what it costs.
public struct ONNXInfo: Sendable, Encodable {
  /// An input or output as the file declares it, open axes with their names.
  public struct Port: Sendable, Encodable {
    /// Its name.
    public let name: String
    /// The type of its elements, or what it is in place of a tensor.
    public let dtype: String
    /// Nil where the file does not say how many axes it has.
    public let shape: [ONNXValueInfo.Dimension]?
  }

  /// A node of the main graph; what stands in its branches and bodies counts with it.
  public struct Node: Sendable, Encodable {
    /// Its name, or what it makes where it has none.
    public let name: String
    /// The operator, with its domain unless that is ONNX's own.
    public let type: String
    /// The shape of its first output; nil where it could not be sized.
    public let output: [Int]?
    /// Multiplications of convolutions and products, not doubled.
    public let macs: Double
  }

  /// A value of the main graph.
  public struct Value: Sendable, Encodable {
    /// Its name.
    public let name: String
    /// The length of each axis.
    public let shape: [Int]
  }

  /// A node whose results could not be sized.
  public struct Unsized: Sendable, Encodable {
    /// Its name, or what it makes.
    public let name: String
    /// The operator.
    public let type: String
    /// Why, in words.
    public let reason: String
  }

  /// Multiplications in units of 10^9. The conventions that double them count PyTorch's modules, which ONNX has not.
  public struct Figures: Sendable, Encodable {
    /// Of all nodes that could be sized.
    public let macs: Double
  }

  /// Nodes that are no constants, those of branches and bodies included.
  public let layers: Int
  /// Elements of weights.
  public let parameters: Int
  /// ONNX does not say what is trained: none.
  public let gradients = 0
  /// Elements of batch norms' means and variances.
  public let buffers: Int
  /// How often each operator occurs, Constant and those of branches and bodies included.
  public let operators: [String: Int]
  /// Multiplications by operator, not doubled: those of branches, bodies and functions by the operators there. An operator
  /// that has none, or could not be sized, is left out.
  public let operatorMacs: [String: Double]
  /// What the model is given.
  public let inputs: [Port]
  /// What it gives.
  public let outputs: [Port]
  /// The edition of ONNX's own operators.
  public let opset: Int
  /// Of every domain that the model imports, ONNX's own being empty.
  public let opsets: [String: Int]
  /// The version of the format.
  public let ir: Int
  /// What wrote it, with its version.
  public let producer: String
  /// Names and texts.
  public let metadata: [String: String]
  /// How many functions of its own it has.
  public let functions: Int
  /// What constants take.
  public let weightBytes: Int
  /// Nil where nothing could be sized.
  public let largestActivationBytes: Int?
  /// What it was sized for, by input.
  public let sizedFor: [Value]
  /// Height and width of the first picture that it was sized for; nil where it takes none.
  public let imageSize: [Int]?
  /// Nil where no size is known.
  public let gflops: Figures?
  /// Why there are no figures, or not all.
  public let gflopsReason: String?
  /// In the file's order.
  public let modules: [Node]
  /// In the order in which they are computed.
  public let values: [Value]
  /// What could not be sized.
  public let unsized: [Unsized]

  /// Reads no elements of weights, but of the small constants that sizes follow from.
  /// - Parameter inputs: what the model's open sizes are to be.
  /// - Throws: `ModelError` as `ONNXModel.trace` does.
  public init(_ model: ONNXModel, _ inputs: ONNXInputs = ONNXInputs()) throws {
    let nodes = model.graph.allNodes
    layers = nodes.count { $0.operation != "Constant" || !$0.isStandard }
    (parameters, buffers) = model.weightCounts
    operators = Dictionary(nodes.map { ($0.qualifiedOperation, 1) }, uniquingKeysWith: +)
    let initialized = Set(model.graph.initializers.map(\.name))
    self.inputs = model.graph.inputs.filter { !initialized.contains($0.name) }.map(Port.init)
    outputs = model.graph.outputs.map(Port.init)
    opset = model.opset
    opsets = Dictionary(model.opsets.map { ($0.domain, $0.version) }, uniquingKeysWith: max)
    ir = model.irVersion
    producer = [model.producerName, model.producerVersion].filter { !$0.isEmpty }.joined(separator: " ")
    metadata = Dictionary(model.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    functions = model.functions.count
    weightBytes = model.constants.reduce(0) { sum, constant in
      let (total, overflow) = sum.addingReportingOverflow(constant.tensor.byteCount ?? 0)
      return overflow ? Int.max : total
    }
    let trace = try model.trace(inputs)
    operatorMacs = trace.operatorMACs
    sizedFor = trace.inputs.map { Value(name: $0.name, shape: $0.type.shape) }
    imageSize = trace.inputs.lazy.map(\.type.shape).first { $0.count == 4 }.map { Array($0.suffix(2)) }
    modules = trace.nodes.map {
      Node(name: $0.name, type: $0.operation, output: $0.outputs.first.flatMap { $0?.shape }, macs: $0.macs)
    }
    values = trace.types.map { Value(name: $0.key, shape: $0.value.shape) }
    let given = Set(trace.inputs.map(\.name))
    largestActivationBytes =
      trace.types.lazy.filter { !given.contains($0.key) }
      .compactMap { type in Tensor.elementCount(type.value.shape).flatMap { type.value.dtype.byteCount(of: $0) } }.max()
    unsized = trace.unsized.map { Unsized(name: $0.name, type: $0.operation, reason: $0.reason) }
    let cause = trace.unsized.first(where: \.isCause)
    gflopsReason = cause.map {
      "\(trace.unsized.count) nodes could not be sized, the first for \($0.operation) \($0.name): \($0.reason)"
    }
    gflops = trace.macs > 0 || cause == nil ? Figures(macs: trace.macs / 1e9) : nil
  }

  /// One line in the form of YOLOv5's summary, with multiplications in place of GFLOPs.
  public var summary: String {
    let least = gflopsReason == nil ? "" : "at least "
    let cost = gflops.map { ", \(least)" + CFormat.string("%.1f GMACs", $0.macs) } ?? ""
    return "Model Summary: \(layers) layers, \(parameters) parameters, \(gradients) gradients\(cost)"
  }
}

extension ONNXInfo.Port {
  fileprivate init(_ info: ONNXValueInfo) {
    name = info.name
    switch info.kind {
    case .tensor(let type, let shape): (dtype, self.shape) = (type.description, shape)
    case .other(let what): (dtype, shape) = (what, nil)
    }
  }
}

extension ONNXInfo.Port: CustomStringConvertible {
  /// As `images float32 [batch, 3, 640, 640]`.
  public var description: String {
    "\(name) \(dtype)" + (shape.map { " [\($0.map(\.description).joined(separator: ", "))]" } ?? "")
  }
}

extension ONNXValueInfo.Dimension: Encodable {
  /// A number, a name, or null.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .fixed(let length): try container.encode(length)
    case .symbol(let name): try container.encode(name)
    case .unknown: try container.encodeNil()
    }
  }
}
