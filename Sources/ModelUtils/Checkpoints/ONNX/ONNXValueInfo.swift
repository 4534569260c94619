import ModelCore

/// What is said of a value: its name, and perhaps its type and shape.
public struct ONNXValueInfo: Sendable {
  /// The length of an axis.
  public enum Dimension: Sendable, Hashable {
    /// A number.
    case fixed(Int)
    /// A name: the same length wherever it stands.
    case symbol(String)
    /// Nothing is said.
    case unknown
  }

  /// What the value is.
  public enum Kind: Sendable, Hashable {
    /// A tensor of an element type by ONNX's number; a shape of nil says nothing, not even how many axes.
    case tensor(ONNXElementType, shape: [Dimension]?)
    /// A sequence, map or optional, or nothing is said.
    case other(String)
  }

  /// What the value is called.
  public var name: String { didSet { message.set(1, name) } }
  /// What it is.
  public var kind: Kind { didSet { message.set(2, messages: [Self.message(kind)]) } }
  private(set) var message: ProtobufMessage

  /// A tensor of a type.
  public init(_ name: String, _ type: ONNXElementType, shape: [Dimension]?) {
    message = ProtobufMessage()
    self.name = name
    kind = .tensor(type, shape: shape)
    message.set(1, name)
    message.set(2, messages: [Self.message(kind)])
  }

  init(message: ProtobufMessage) throws {
    self.message = message
    name = try message.text(1) ?? ""
    kind = .other("value of no type")
    if let type = try message.message(2) { kind = try Self.kind(type) }
  }

  private static func kind(_ type: ProtobufMessage) throws -> Kind {
    guard let tensor = try type.message(1) else {
      let names = [4: "sequence", 5: "map", 8: "sparse tensor", 9: "optional"]
      return .other(type.fields.lazy.compactMap { names[$0.number] }.first ?? "value of no type")
    }
    let shape = try tensor.message(2).map { shape in
      try shape.messages(1).map { dimension -> Dimension in
        if let length = try dimension.integer(1) { return .fixed(length) }
        return try dimension.text(2).flatMap { $0.isEmpty ? nil : .symbol($0) } ?? .unknown
      }
    }
    return .tensor(ONNXElementType(number: try tensor.integer(1) ?? 0), shape: shape)
  }

  private static func message(_ kind: Kind) -> ProtobufMessage {
    var type = ProtobufMessage()
    guard case .tensor(let element, let shape) = kind else { return type }
    var tensor = ProtobufMessage()
    tensor.set(1, element.number)
    if let shape {
      var lengths = ProtobufMessage()
      lengths.set(
        1,
        messages: shape.map {
          var dimension = ProtobufMessage()
          switch $0 {
          case .fixed(let length): dimension.set(1, length)
          case .symbol(let name): dimension.set(2, name)
          case .unknown: break
          }
          return dimension
        })
      tensor.set(2, messages: [lengths])
    }
    type.set(1, messages: [tensor])
    return type
  }
}

extension ONNXValueInfo.Kind: CustomStringConvertible {
  /// As `float32 [batch, 3, 640, 640]`.
  public var description: String {
    switch self {
    case .other(let what): what
    case .tensor(let type, let shape):
      "\(type)" + (shape.map { " [\($0.map(\.description).joined(separator: ", "))]" } ?? " of any shape")
    }
  }
}

extension ONNXValueInfo.Dimension: CustomStringConvertible {
  /// A number, a name, or `?`.
  public var description: String {
    switch self {
    case .fixed(let length): String(length)
    case .symbol(let name): name
    case .unknown: "?"
    }
  }
}

/// Which tensors hold the scale and zero point of a quantised one.
public struct ONNXQuantization: Sendable {
  /// The quantised tensor.
  public var tensorName: String { didSet { message.set(1, tensorName) } }
  private(set) var message: ProtobufMessage

  init(message: ProtobufMessage) throws {
    self.message = message
    tensorName = try message.text(1) ?? ""
  }
}
