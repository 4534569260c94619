@_exported import OrderedCollections

/// Named tensors in order: what PyTorch's `state_dict()` gives and what safetensors files hold.
public struct StateDict: Sendable {
  public var tensors: OrderedDictionary<String, Tensor>
  /// Text beside the tensors, as safetensors files carry it (`__metadata__`), sorted by key when written; nil where
  /// there is none, which such a file tells from an empty one.
  public var metadata: [String: String]?

  /// No tensors.
  public init() { self.init([:]) }

  public init(_ tensors: OrderedDictionary<String, Tensor>, metadata: [String: String]? = nil) {
    self.tensors = tensors
    self.metadata = metadata
  }

  public subscript(name: String) -> Tensor? {
    get { tensors[name] }
    set { tensors[name] = newValue }
  }

  public var names: OrderedSet<String> { tensors.keys }
}

extension StateDict: RandomAccessCollection {
  public typealias Element = (name: String, tensor: Tensor)

  public var startIndex: Int { 0 }
  public var endIndex: Int { tensors.count }

  public subscript(position: Int) -> Element {
    let element = tensors.elements[position]
    return (element.key, element.value)
  }

  /// Takes an entry out.
  @discardableResult
  public mutating func remove(_ name: String) -> Tensor? { tensors.removeValue(forKey: name) }
}

extension StateDict: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, Tensor)...) {
    self.init(OrderedDictionary(elements, uniquingKeysWith: { $1 }))
  }
}
