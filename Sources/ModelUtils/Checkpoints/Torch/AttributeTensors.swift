import ModelCore

extension Checkpoint {
  /// A tensor that a module of the file holds as a plain attribute; nil where it has none of that name.
  /// - Parameter identity: the module's.
  /// - Throws: `ModelError` for a tensor that cannot be read.
  public func attributeTensor(_ name: String, of identity: Identity) throws -> Tensor? {
    guard let source = torch,
      let reference = source.modules.first(where: { $0.value.identity == identity })?.key,
      let state = source.graph.stateDictionary(reference),
      let value = source.graph.dictionary(state)?[name], source.graph.isTensor(value)
    else { return nil }
    return try source.graph.tensor(value).tensor
  }

  /// Converts tensors that a module of the file holds as plain attributes, alone or in a list: what `module.to(dtype)`
  /// passes over.
  /// - Parameters:
  ///   - names: the attributes; those that the module lacks are passed over.
  ///   - identity: the module's.
  package mutating func convertAttributeTensors(_ names: [String], of identity: Identity, to dtype: DType) throws {
    guard var source = torch,
      let reference = source.modules.first(where: { $0.value.identity == identity })?.key,
      let state = source.graph.stateDictionary(reference)
    else { return }
    for name in names {
      guard let value = source.graph.dictionary(state)?[name] else { continue }
      let new: PickleGraph.Reference
      if case .list(let items) = source.graph.nodes[value] {
        var list: [PickleGraph.Reference] = []
        for item in items { list.append(try source.graph.addConverted(item, to: dtype)) }
        new = source.graph.add(.list(list))
      } else {
        new = try source.graph.addConverted(value, to: dtype)
      }
      source.graph.change([name: new], of: state)
    }
    torch = source
  }
}

extension PickleGraph {
  /// The tensor in another floating type; anything else as it is.
  fileprivate mutating func addConverted(_ reference: Reference, to dtype: DType) throws -> Reference {
    guard isTensor(reference) else { return reference }
    let object = try tensor(reference)
    guard object.tensor.dtype.isFloatingPoint, object.tensor.dtype != dtype else { return reference }
    tensors.append(
      .init(
        tensor: try object.tensor.converted(to: dtype),
        parameterRequiresGrad: object.isParameter ? object.requiresGrad : nil))
    return add(.tensor(tensors.count - 1))
  }
}
