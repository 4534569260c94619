/// A plain attribute of a pickled object, as far as it is understood. What is not, is `opaque` here and kept as it was
/// in the file.
public indirect enum Attribute: Sendable, Hashable {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case list([Attribute])
  case tuple([Attribute])
  case dict([Entry])
  case tensor(AttributeTensor)
  /// A method of the object itself, such as `forward_fuse` standing in for `forward`.
  case boundMethod(String)
  /// Anything else; the text names it for a person.
  case opaque(String)

  public struct Entry: Sendable, Hashable {
    public let key: Attribute
    public let value: Attribute

    public init(key: Attribute, value: Attribute) {
      self.key = key
      self.value = value
    }
  }

  public var intValue: Int? { if case .int(let value) = self { value } else { nil } }
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }

  /// A number, an int included.
  public var doubleValue: Double? {
    switch self {
    case .double(let value): value
    case .int(let value): Double(value)
    default: nil
    }
  }

  /// A list or tuple of ints.
  public var intsValue: [Int]? {
    switch self {
    case .list(let items), .tuple(let items):
      let ints = items.compactMap(\.intValue)
      return ints.count == items.count ? ints : nil
    default: return nil
    }
  }

  /// The elements of a number, of a tensor of numbers, or of a list or tuple of numbers.
  public var doublesValue: [Double]? {
    switch self {
    case .double, .int: return doubleValue.map { [$0] }
    case .tensor(let attribute): return try? attribute.tensor.doubles()
    case .list(let items), .tuple(let items):
      let numbers = items.compactMap(\.doubleValue)
      return numbers.count == items.count ? numbers : nil
    default: return nil
    }
  }

  /// Whether Python would call it empty or false: None, False, 0, '', [], {}.
  public var isEmpty: Bool {
    switch self {
    case .none: true
    case .bool(let value): !value
    case .int(let value): value == 0
    case .double(let value): value == 0
    case .string(let value): value.isEmpty
    case .list(let items), .tuple(let items): items.isEmpty
    case .dict(let entries): entries.isEmpty
    case .tensor, .boundMethod, .opaque: false
    }
  }
}

/// A tensor that a module holds as a plain attribute; equal to another where it is the same view of the same memory.
public struct AttributeTensor: Sendable, Hashable {
  public let tensor: Tensor

  public init(_ tensor: Tensor) { self.tensor = tensor }

  public static func == (first: AttributeTensor, second: AttributeTensor) -> Bool {
    first.tensor.identity == second.tensor.identity
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(tensor.identity) }
}
