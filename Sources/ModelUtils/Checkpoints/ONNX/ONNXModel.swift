import ModelCore

/// An ONNX model: a graph of operators with its weights, read from a mapped file and written back losslessly.
///
///     var model = try ONNXModel(contentsOf: "best.onnx")
///     model.graph.nodes[0].name = "first"
///     try model.write(to: "renamed.onnx")
///
/// What is not changed is written byte for byte, fields that this library does not know included. Weights stay in the
/// file until their elements are asked for.
public struct ONNXModel: Sendable {
  /// A set of operators and its version; the empty domain is ONNX's own.
  public struct Opset: Sendable, Hashable {
    /// Empty for ONNX's own operators.
    public var domain: String
    /// Which edition of each operator is meant.
    public var version: Int

    /// A version of a domain's operators.
    public init(_ version: Int, domain: String = "") {
      self.version = version
      self.domain = domain
    }
  }

  /// A function: operators under a name of their own, which nodes call as an operator.
  public struct Function: Sendable {
    /// What nodes call it by.
    public let name: String
    /// The domain that nodes name.
    public let domain: String
    /// Which of several functions of one name it is.
    public let overload: String
    /// What it is given.
    public let inputs: [String]
    /// What it gives.
    public let outputs: [String]
    /// The attributes that a call may set.
    public let attributes: [String]
    /// The attributes that a call may set, with what they are where it does not.
    public let defaults: [ONNXAttribute]
    /// What it computes.
    public let nodes: [ONNXNode]
    /// The operators that its nodes mean.
    public let opsets: [Opset]
  }

  /// The file's name; empty for a model that was built.
  public internal(set) var name = ""
  /// The version of the format.
  public var irVersion: Int { didSet { message.set(1, irVersion) } }
  /// The operators that the nodes mean.
  public var opsets: [Opset] { didSet { message.set(8, messages: opsets.map(\.message)) } }
  /// What wrote it.
  public var producerName: String { didSet { message.set(2, producerName) } }
  /// Which version of that.
  public var producerVersion: String { didSet { message.set(3, producerVersion) } }
  /// Whose model it is, as a reversed host name.
  public let domain: String
  /// Which version of the model it is.
  public let modelVersion: Int
  /// What people should know of it.
  public var docString: String { didSet { message.set(6, docString) } }
  /// Names and texts, such as YOLO's `stride` and `names`.
  public var metadata: OrderedDictionary<String, String> {
    didSet { message.set(14, messages: ONNXModel.entries(metadata)) }
  }
  /// What it computes.
  public var graph: ONNXGraph { didSet { graphIsChanged = true } }
  /// The functions that its nodes call.
  public let functions: [Function]

  private var message: ProtobufMessage
  private var graphIsChanged = false

  /// The message as it is now.
  var encoded: ProtobufMessage {
    guard graphIsChanged else { return message }
    var message = message
    message.set(7, messages: [graph.encoded])
    return message
  }

  /// A model that is built, of an empty graph.
  public init(graph: ONNXGraph, opset: Int, irVersion: Int, producerName: String, producerVersion: String) {
    message = ProtobufMessage()
    self.irVersion = irVersion
    self.producerName = producerName
    self.producerVersion = producerVersion
    (domain, modelVersion, docString, functions) = ("", 0, "", [])
    (opsets, metadata, self.graph) = ([Opset(opset)], [:], graph)
    graphIsChanged = true
    message.set(1, irVersion)
    message.set(2, producerName)
    message.set(3, producerVersion)
    message.set(7, messages: [ProtobufMessage()])
    message.set(8, messages: opsets.map(\.message))
  }

  /// Reads a file.
  /// - Throws: `ModelError` for what is no ONNX model, contradicts itself or goes beyond the bounds of any model. What
  ///   lies in other files is looked for when it is asked for.
  public init(contentsOf location: some FileLocation) throws {
    let file = try OtherFormat.open(location)
    try self.init(file, folder: ExternalFolder(of: try location.filePath))
  }

  /// Reads bytes that are in memory or mapped; weights in other files cannot be found.
  /// - Throws: as `init(contentsOf:)`.
  public init(_ file: FileBytes) throws { try self.init(file, folder: nil) }

  init(_ file: FileBytes, folder: ExternalFolder?) throws {
    do {
      guard file.count > 0 else { throw ModelError(.malformed, "is empty") }
      let message: ProtobufMessage
      do { message = try ProtobufMessage(ProtobufStretch(file)) } catch var error as ModelError {
        error.reason = "is no ONNX model, or damaged: \(error.reason)"
        throw error
      }
      try self.init(message: message, folder: folder)
      name = file.name
    } catch let error as ModelError {
      throw error.inFile(file.name)
    }
  }

  private init(message: ProtobufMessage, folder: ExternalFolder?) throws {
    self.message = message
    irVersion = try message.integer(1) ?? 0
    producerName = try message.text(2) ?? ""
    producerVersion = try message.text(3) ?? ""
    domain = try message.text(4) ?? ""
    modelVersion = try message.integer(5) ?? 0
    docString = try message.text(6) ?? ""
    opsets = try message.messages(8).map(Opset.init)
    metadata = try Self.entries(message.messages(14))
    guard let graph = try message.message(7) else { throw ModelError(.malformed, "is an ONNX model without a graph") }
    var reading = ONNXReading(folder: folder)
    self.graph = try ONNXGraph(message: graph, &reading)
    functions = try message.messages(25).map { try Function(message: $0, &reading) }
  }

  /// The version of ONNX's own operators that nodes mean; 1 where nothing is said, as the format has it.
  public var opset: Int { opsets.first { $0.domain == "" || $0.domain == "ai.onnx" }?.version ?? 1 }

  static func entries(_ messages: [ProtobufMessage]) throws -> OrderedDictionary<String, String> {
    var entries: OrderedDictionary<String, String> = [:]
    for message in messages { entries[try message.text(1) ?? ""] = try message.text(2) ?? "" }
    return entries
  }

  static func entries(_ entries: OrderedDictionary<String, String>) -> [ProtobufMessage] {
    entries.map { key, value in
      var message = ProtobufMessage()
      message.set(1, key)
      message.set(2, value)
      return message
    }
  }
}

extension ONNXModel.Opset {
  init(_ message: ProtobufMessage) throws {
    try self.init(message.integer(2) ?? 0, domain: message.text(1) ?? "")
  }

  var message: ProtobufMessage {
    var message = ProtobufMessage()
    message.set(1, domain)
    message.set(2, version)
    return message
  }
}

extension ONNXModel.Function {
  init(message: ProtobufMessage, _ reading: inout ONNXReading) throws {
    name = try message.text(1) ?? ""
    inputs = try message.texts(4)
    outputs = try message.texts(5)
    attributes = try message.texts(6)
    nodes = try reading.nodes(of: message, 7)
    opsets = try message.messages(9).map(ONNXModel.Opset.init)
    domain = try message.text(10) ?? ""
    defaults = try message.messages(11).map { try ONNXAttribute(message: $0, &reading) }
    overload = try message.text(13) ?? ""
  }
}

/// What holds while a model is read: where other files are, how deep it has come, and how much it may still hold.
struct ONNXReading {
  let folder: ExternalFolder?
  private var depth = 0
  private var parts = 0

  /// Graphs within attributes of nodes; real ones stand in each other a handful deep.
  static let depthLimit = 64
  /// Nodes, attributes, tensors and values together; each takes some hundred bytes.
  static let partLimit = 1 << 20

  init(folder: ExternalFolder?) { self.folder = folder }

  /// - Throws: `ModelError` when the model has more parts than any.
  mutating func take(_ count: Int = 1) throws {
    parts += count
    guard parts <= Self.partLimit else {
      throw ModelError(.limit, "has more than \(Self.partLimit) nodes, attributes, tensors and values")
    }
  }

  /// A graph inside a node.
  /// - Throws: `ModelError` when graphs are nested deeper than in any model.
  mutating func graph(_ message: ProtobufMessage) throws -> ONNXGraph {
    guard depth < Self.depthLimit else {
      throw ModelError(.limit, "its graphs stand in each other more than \(Self.depthLimit) deep")
    }
    depth += 1
    defer { depth -= 1 }
    return try ONNXGraph(message: message, &self)
  }

  mutating func nodes(of message: ProtobufMessage, _ number: Int) throws -> [ONNXNode] {
    try take(message.fields.count)
    return try message.messages(number).map { try ONNXNode(message: $0, &self) }
  }
}
