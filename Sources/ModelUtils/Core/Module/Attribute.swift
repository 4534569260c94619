/// A plain attribute of a pickled object, as far as it is understood. What is not, is `opaque` here and kept as it was
/// in the file.
public indirect enum Attribute: Sendable, Hashable {
  /// Python's None.
  case none
  /// A bool.
  case bool(Bool)
  /// A whole number that fits into 64 bits.
  case int(Int)
  /// A float.
  case double(Double)
  /// Text.
  case string(String)
  /// A list.
  case list([Attribute])
  /// A tuple.
  case tuple([Attribute])
  /// A `torch.Size`.
  case size([Int])
  /// A dict, in its order.
  case dict([Entry])
  /// A `collections.OrderedDict`.
  case orderedDict([Entry])
  /// A set, in the order of the file.
  case set([Attribute])
  /// A frozenset, in the order of the file.
  case frozenSet([Attribute])
  /// A tensor that is neither a parameter nor a buffer, such as a detector's strides.
  case tensor(Held)
  /// A method of the object itself, such as `forward_fuse` standing in for `forward`.
  case boundMethod(String)
  /// A method of a class that is not the object's own, such as the forward of another class that it calls.
  case unboundMethod(ClassName, String)
  /// Anything else; the text names it for a person.
  case opaque(String)

  /// A key of a dict and what stands there.
  public struct Entry: Sendable, Hashable {
    /// The key, which may be of any kind.
    public let key: Attribute
    /// What stands there.
    public let value: Attribute

    /// An entry of a dict.
    public init(key: Attribute, value: Attribute) {
      self.key = key
      self.value = value
    }
  }

  /// A tensor as an attribute: equal to another that is the same view of the same memory.
  public struct Held: Sendable, Hashable {
    /// The tensor.
    public var tensor: Tensor
    /// Whether it is a `torch.nn.Parameter`, and then whether it is trained; nil for a plain tensor.
    public var requiresGrad: Bool?

    /// A tensor as an attribute: a plain one unless `requiresGrad` is given.
    public init(_ tensor: Tensor, requiresGrad: Bool? = nil) {
      self.tensor = tensor
      self.requiresGrad = requiresGrad
    }

    public static func == (a: Held, b: Held) -> Bool {
      a.tensor.identity == b.tensor.identity && a.requiresGrad == b.requiresGrad
    }

    public func hash(into hasher: inout Hasher) {
      hasher.combine(tensor.identity)
      hasher.combine(requiresGrad)
    }
  }

  /// The number of an int; nil for anything else.
  public var intValue: Int? { if case .int(let value) = self { value } else { nil } }
  /// The value of a bool; nil for anything else.
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The text of a string; nil for anything else.
  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  /// The entries of a dict or OrderedDict; nil for anything else.
  public var entriesValue: [Entry]? {
    switch self {
    case .dict(let entries), .orderedDict(let entries): entries
    default: nil
    }
  }
  /// The tensor; nil for anything else.
  public var tensorValue: Tensor? { if case .tensor(let held) = self { held.tensor } else { nil } }

  /// A number, an int included.
  public var doubleValue: Double? {
    switch self {
    case .double(let value): value
    case .int(let value): Double(value)
    default: nil
    }
  }

  /// A list, tuple or `torch.Size` of ints.
  public var intsValue: [Int]? {
    switch self {
    case .size(let lengths): return lengths
    case .list(let items), .tuple(let items):
      let ints = items.compactMap(\.intValue)
      return ints.count == items.count ? ints : nil
    default: return nil
    }
  }

  /// The elements of a number, of a tensor of numbers, or of a list, tuple or `torch.Size` of numbers.
  public var doublesValue: [Double]? {
    switch self {
    case .size(let lengths): return lengths.map(Double.init)
    case .double, .int: return doubleValue.map { [$0] }
    case .tensor(let attribute): return try? attribute.tensor.doubles()
    case .list(let items), .tuple(let items):
      let numbers = items.compactMap(\.doubleValue)
      return numbers.count == items.count ? numbers : nil
    default: return nil
    }
  }

  /// With each tensor in it, in lists, sets and dicts too, as `change` makes it.
  public func mapTensors(_ change: (Tensor) throws -> Tensor) rethrows -> Attribute {
    switch self {
    case .tensor(let held): return .tensor(Held(try change(held.tensor), requiresGrad: held.requiresGrad))
    case .list(let items): return .list(try items.map { try $0.mapTensors(change) })
    case .tuple(let items): return .tuple(try items.map { try $0.mapTensors(change) })
    case .set(let items): return .set(try items.map { try $0.mapTensors(change) })
    case .frozenSet(let items): return .frozenSet(try items.map { try $0.mapTensors(change) })
    case .dict(let entries): return .dict(try Self.mapTensors(entries, change))
    case .orderedDict(let entries): return .orderedDict(try Self.mapTensors(entries, change))
    case .none, .bool, .int, .double, .string, .size, .boundMethod, .unboundMethod, .opaque: return self
    }
  }

  private static func mapTensors(_ entries: [Entry], _ change: (Tensor) throws -> Tensor) rethrows -> [Entry] {
    try entries.map { Entry(key: $0.key, value: try $0.value.mapTensors(change)) }
  }

  /// Whether Python would call it empty or false: None, False, 0, '', [], {}, set().
  public var isEmpty: Bool {
    switch self {
    case .none: true
    case .bool(let value): !value
    case .int(let value): value == 0
    case .double(let value): value == 0
    case .string(let value): value.isEmpty
    case .size(let lengths): lengths.isEmpty
    case .list(let items), .tuple(let items), .set(let items), .frozenSet(let items): items.isEmpty
    case .dict(let entries), .orderedDict(let entries): entries.isEmpty
    case .tensor, .boundMethod, .unboundMethod, .opaque: false
    }
  }
}
