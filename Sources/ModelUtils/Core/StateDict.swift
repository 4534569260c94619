@_exported import OrderedCollections

/// Named tensors in order: what PyTorch's `state_dict()` gives and what safetensors files hold.
public struct StateDict: Sendable {
  public var tensors: OrderedDictionary<String, Tensor>
  /// Text beside the tensors, as safetensors files carry it (`__metadata__`), sorted by key when written; nil where
  /// there is none, which such a file tells from an empty one.
  public var metadata: [String: String]?

  public init(
    _ tensors: OrderedDictionary<String, Tensor> = [:], metadata: [String: String]? = nil
  ) {
    self.tensors = tensors
    self.metadata = metadata
  }

  public subscript(name: String) -> Tensor? {
    get { tensors[name] }
    set { tensors[name] = newValue }
  }

  public var count: Int { tensors.count }
  public var names: OrderedSet<String> { tensors.keys }
}
