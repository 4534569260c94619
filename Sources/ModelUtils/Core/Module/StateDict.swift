@_exported import OrderedCollections

/// Named tensors in order: what PyTorch's `state_dict()` gives and what safetensors files hold.
public struct StateDict: Sendable {
  /// The tensors by name, in order.
  public var tensors: OrderedDictionary<String, Tensor>
  /// Text beside the tensors, as safetensors files carry it (`__metadata__`), sorted by key when written; nil where
  /// there is none, which such a file tells from an empty one.
  public var metadata: [String: String]?
  /// Names of tied tensors that the file gave in its metadata, each with the name under which the tensor stands there:
  /// while the two are still tied they are written so again.
  package var aliases: [String: String] = [:]
  /// Names of entries that are no parameters, where the file says so: a TorchScript archive does.
  package var buffers: Set<String> = []
  /// The kernels of plain convolutions over two axes, where the file says so: an ONNX model does.
  package var conv2dWeights: Set<String>?

  /// No tensors.
  public init() { self.init([:]) }

  /// Named tensors and the text beside them.
  public init(_ tensors: OrderedDictionary<String, Tensor>, metadata: [String: String]? = nil) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// The tensor of a name; nil where there is none. Setting nil takes an entry out, a new name goes to the end.
  public subscript(name: String) -> Tensor? {
    get { tensors[name] }
    set { tensors[name] = newValue }
  }

  /// All names, in order.
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
