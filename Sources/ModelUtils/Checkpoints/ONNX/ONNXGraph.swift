import ModelCore

/// Nodes with what they are given and give: a model's graph, or a branch or body in a node's attribute.
public struct ONNXGraph: Sendable {
  /// What it is called.
  public var name: String { didSet { message.set(2, name) } }
  /// What it computes; each node's inputs should be made before it.
  public var nodes: [ONNXNode] { didSet { changed.insert(1) } }
  /// The weights, by their names.
  public var initializers: [ONNXTensor] { didSet { changed.insert(5) } }
  /// What it is given; up to version 3 of the format the initializers too.
  public var inputs: [ONNXValueInfo] { didSet { changed.insert(11) } }
  /// What it gives.
  public var outputs: [ONNXValueInfo] { didSet { changed.insert(12) } }
  /// What is said of the values between.
  public var valueInfo: [ONNXValueInfo] { didSet { changed.insert(13) } }
  /// What people should know of it.
  public var docString: String { didSet { message.set(10, docString) } }
  /// Weights of which only the elements that are not zero are there.
  public let sparseInitializers: [ONNXSparseTensor]
  /// The tensors that quantised ones refer to.
  public var quantization: [ONNXQuantization] { didSet { changed.insert(14) } }

  private var message: ProtobufMessage
  private var changed: Set<Int> = []

  /// The message as it is now.
  var encoded: ProtobufMessage {
    guard !changed.isEmpty else { return message }
    var message = message
    for number in changed.sorted() {
      let messages: [ProtobufMessage] =
        switch number {
        case 1: nodes.map(\.encoded)
        case 5: initializers.map(\.encoded)
        case 11: inputs.map(\.message)
        case 12: outputs.map(\.message)
        case 13: valueInfo.map(\.message)
        default: quantization.map(\.message)
        }
      message.set(number, messages: messages)
    }
    return message
  }

  /// A graph that is built.
  public init(
    name: String, nodes: [ONNXNode] = [], initializers: [ONNXTensor] = [], inputs: [ONNXValueInfo] = [],
    outputs: [ONNXValueInfo] = [], valueInfo: [ONNXValueInfo] = []
  ) {
    message = ProtobufMessage()
    (self.name, self.nodes, self.initializers, docString) = (name, nodes, initializers, "")
    (self.inputs, self.outputs, self.valueInfo) = (inputs, outputs, valueInfo)
    (sparseInitializers, quantization) = ([], [])
    message.set(2, name)
    changed = [1, 5, 11, 12, 13]
  }

  init(message: ProtobufMessage, _ reading: inout ONNXReading) throws {
    self.message = message
    name = try message.text(2) ?? ""
    docString = try message.text(10) ?? ""
    nodes = try reading.nodes(of: message, 1)
    let folder = reading.folder
    initializers = try message.messages(5).map { try ONNXTensor(message: $0, folder: folder) }
    inputs = try message.messages(11).map(ONNXValueInfo.init(message:))
    outputs = try message.messages(12).map(ONNXValueInfo.init(message:))
    valueInfo = try message.messages(13).map(ONNXValueInfo.init(message:))
    quantization = try message.messages(14).map(ONNXQuantization.init(message:))
    sparseInitializers = try message.messages(15).map { try ONNXSparseTensor(message: $0, folder: folder) }
  }
}

/// One application of an operator.
public struct ONNXNode: Sendable {
  /// The names of what it takes; empty where an optional one is left out.
  public var inputs: [String] { didSet { message.set(1, texts: inputs) } }
  /// The names of what it makes; empty where an optional one is left out.
  public var outputs: [String] { didSet { message.set(2, texts: outputs) } }
  /// What it is called; may be empty, and is not always unique.
  public var name: String { didSet { message.set(3, name) } }
  /// The operator, such as `Conv`.
  public var operation: String { didSet { message.set(4, operation) } }
  /// Whose operator it is; empty for ONNX's own.
  public var domain: String { didSet { message.set(7, domain) } }
  /// Which of several functions of one name is called.
  public let overload: String
  /// What is set of it, by name.
  public var attributes: [ONNXAttribute] { didSet { attributesAreChanged = true } }
  /// What exporters wrote about it, such as a stack trace.
  public var docString: String { didSet { message.set(6, docString) } }
  /// Names and texts of exporters.
  public var metadata: OrderedDictionary<String, String> {
    didSet { message.set(9, messages: ONNXModel.entries(metadata)) }
  }

  private var message: ProtobufMessage
  private var attributesAreChanged = false

  var encoded: ProtobufMessage {
    guard attributesAreChanged else { return message }
    var message = message
    message.set(5, messages: attributes.map(\.encoded))
    return message
  }

  /// A node that is built.
  public init(
    _ operation: String, _ inputs: [String], _ outputs: [String], name: String = "", domain: String = "",
    attributes: [ONNXAttribute] = []
  ) {
    message = ProtobufMessage()
    (self.operation, self.inputs, self.outputs, self.name, self.domain) = (operation, inputs, outputs, name, domain)
    (overload, docString, metadata, self.attributes) = ("", "", [:], attributes)
    message.set(1, texts: inputs)
    message.set(2, texts: outputs)
    message.set(3, name)
    message.set(4, operation)
    message.set(7, domain)
    attributesAreChanged = true
  }

  init(message: ProtobufMessage, _ reading: inout ONNXReading) throws {
    self.message = message
    inputs = try message.texts(1)
    outputs = try message.texts(2)
    name = try message.text(3) ?? ""
    operation = try message.text(4) ?? ""
    domain = try message.text(7) ?? ""
    overload = try message.text(8) ?? ""
    docString = try message.text(6) ?? ""
    metadata = try ONNXModel.entries(message.messages(9))
    try reading.take(message.fields.count)
    attributes = []
    for attribute in try message.messages(5) { attributes.append(try ONNXAttribute(message: attribute, &reading)) }
    attributesAreChanged = false
  }

  /// The operator with its domain, unless that is ONNX's own: `com.microsoft.Gelu`.
  public var qualifiedOperation: String { isStandard ? operation : "\(domain).\(operation)" }

  /// What people know it by: its name, or what it makes where it has none.
  public var label: String { name.isEmpty ? outputs.first { !$0.isEmpty } ?? operation : name }

  /// Whether its operator is one of ONNX's own.
  public var isStandard: Bool { domain.isEmpty || domain == "ai.onnx" }

  /// An attribute by its name.
  public func attribute(_ name: String) -> ONNXAttribute.Value? { attributes.first { $0.name == name }?.value }
}

/// What is set of a node.
public struct ONNXAttribute: Sendable {
  /// What an attribute may be.
  public enum Value: Sendable {
    /// A number with a fraction.
    case float(Float)
    /// A whole number.
    case int(Int)
    /// Text, mostly.
    case string([UInt8])
    /// A tensor.
    case tensor(ONNXTensor)
    /// A branch or body.
    case graph(ONNXGraph)
    /// Numbers with fractions.
    case floats([Float])
    /// Whole numbers.
    case ints([Int])
    /// Texts, mostly.
    case strings([[UInt8]])
    /// Tensors.
    case tensors([ONNXTensor])
    /// Branches or bodies.
    case graphs([ONNXGraph])
    /// In a function: what the call sets under this name.
    case reference(String)
    /// What is carried and not looked into: types, sparse tensors.
    case other
  }

  /// What it is called.
  public let name: String
  /// What it is.
  public var value: Value { didSet { isChanged = true } }

  private var message: ProtobufMessage
  private var isChanged = false

  var encoded: ProtobufMessage {
    guard isChanged else { return message }
    var message = message
    for number in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11] { message.set(number, []) }
    let type: Int
    switch value {
    case .float(let value):
      message.set(2, value)
      type = 1
    case .int(let value):
      message.set(3, value)
      type = 2
    case .string(let bytes):
      message.set(4, [.bytes(bytes)])
      type = 3
    case .tensor(let tensor):
      message.set(5, messages: [tensor.encoded])
      type = 4
    case .graph(let graph):
      message.set(6, messages: [graph.encoded])
      type = 5
    case .floats(let values):
      message.set(7, packed: values)
      type = 6
    case .ints(let values):
      message.set(8, packed: values)
      type = 7
    case .strings(let strings):
      message.set(9, strings.map { .bytes($0) })
      type = 8
    case .tensors(let tensors):
      message.set(10, messages: tensors.map(\.encoded))
      type = 9
    case .graphs(let graphs):
      message.set(11, messages: graphs.map(\.encoded))
      type = 10
    case .reference, .other: return self.message
    }
    message.set(20, type)
    return message
  }

  /// An attribute that is built.
  public init(_ name: String, _ value: Value) {
    message = ProtobufMessage()
    (self.name, self.value) = (name, value)
    message.set(1, name)
    isChanged = true
  }

  /// Text.
  public init(_ name: String, _ text: String) { self.init(name, .string(Array(text.utf8))) }
  /// A whole number.
  public init(_ name: String, _ number: Int) { self.init(name, .int(number)) }
  /// A number with a fraction.
  public init(_ name: String, _ number: Float) { self.init(name, .float(number)) }
  /// Whole numbers.
  public init(_ name: String, _ numbers: [Int]) { self.init(name, .ints(numbers)) }

  init(message: ProtobufMessage, _ reading: inout ONNXReading) throws {
    self.message = message
    try reading.take()
    name = try message.text(1) ?? ""
    do { value = try Self.value(message, &reading) } catch let error as ModelError { throw error.about(name) }
    isChanged = false
  }

  private static func value(_ message: ProtobufMessage, _ reading: inout ONNXReading) throws -> Value {
    if let reference = try message.text(21), !reference.isEmpty { return .reference(reference) }
    // The first editions of the format did not say the type.
    let types = [2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10]
    let said = try message.integer(20) ?? 0
    let type = said != 0 ? said : message.fields.lazy.compactMap { types[$0.number] }.first ?? 0
    let folder = reading.folder
    switch type {
    case 1: return .float(try message.float(2) ?? 0)
    case 2: return .int(try message.integer(3) ?? 0)
    case 3: return .string(try message.allBytes(4).last ?? [])
    case 4:
      guard let tensor = try message.message(5) else {
        throw ModelError(.malformed, "says it is a tensor and has none")
      }
      return .tensor(try ONNXTensor(message: tensor, folder: folder))
    case 5:
      guard let graph = try message.message(6) else { throw ModelError(.malformed, "says it is a graph and has none") }
      return .graph(try reading.graph(graph))
    case 6: return .floats(try message.floats(7))
    case 7: return .ints(try message.integers(8))
    case 8: return .strings(try message.allBytes(9))
    case 9: return .tensors(try message.messages(10).map { try ONNXTensor(message: $0, folder: folder) })
    case 10:
      var graphs: [ONNXGraph] = []
      for graph in try message.messages(11) { graphs.append(try reading.graph(graph)) }
      return .graphs(graphs)
    default: return .other
    }
  }
}

extension ONNXAttribute.Value {
  /// The whole number; nil for anything else.
  public var int: Int? { if case .int(let value) = self { value } else { nil } }
  /// The number; nil for anything else.
  public var float: Float? { if case .float(let value) = self { value } else { nil } }
  /// The whole numbers; nil for anything else.
  public var ints: [Int]? { if case .ints(let values) = self { values } else { nil } }
  /// The numbers; nil for anything else.
  public var floats: [Float]? { if case .floats(let values) = self { values } else { nil } }
  /// The text; nil for anything else, and what is no UTF-8.
  public var text: String? {
    if case .string(let bytes) = self { String(validating: bytes, as: UTF8.self) } else { nil }
  }
  /// The tensor; nil for anything else.
  public var tensor: ONNXTensor? { if case .tensor(let tensor) = self { tensor } else { nil } }
  /// The graph; nil for anything else.
  public var graph: ONNXGraph? { if case .graph(let graph) = self { graph } else { nil } }
}
