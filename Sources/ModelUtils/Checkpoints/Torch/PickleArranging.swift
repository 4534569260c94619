import ModelCore

extension PickleGraph {
  /// Makes entries of a dict those given, in the order given.
  ///
  /// Entries of which the caller knows nothing (`isKnown` is false, and there is no value for them) stay, each behind
  /// the one that it stood behind. A dict that holds all that already is not touched.
  mutating func arrange(
    _ values: OrderedDictionary<String, Reference>, of reference: Reference, isKnown: (String) -> Bool
  ) {
    guard let old = entries(reference) else { return }
    var keys: [String: Reference] = [:]
    var others: [String?: [Entry]] = [:]
    var last: String?
    var present: [(String, Reference)] = []
    for entry in old {
      guard let name = text(entry.key), values[name] != nil || isKnown(name) else {
        others[last, default: []].append(entry)
        continue
      }
      present.append((name, entry.value))
      if keys[name] == nil { keys[name] = entry.key }
      if values[name] != nil { last = name }
    }
    if present.elementsEqual(values, by: { $0 == ($1.key, $1.value) }) { return }
    var entries = others[nil] ?? []
    for (name, value) in values {
      entries.append(Entry(key: keys[name] ?? add(.string(name)), value: value))
      entries += others[name] ?? []
    }
    setEntries(entries, of: reference)
  }

  /// Whether an object is a dict itself and none of its subclasses.
  func isPlainDictionary(_ reference: Reference) -> Bool {
    if case .dict = nodes[reference] { true } else { false }
  }

  /// A dict of the same class with the same entries.
  mutating func copyDictionary(_ reference: Reference) -> Reference {
    switch nodes[reference] {
    case .call(let index): addCall(calls[index])
    case let node: add(node)
    }
  }

  /// Makes an object one of another class.
  /// - Returns: whether it is an object whose class can be changed.
  mutating func setClass(_ name: ClassName, of reference: Reference) -> Bool {
    guard case .call(let index) = nodes[reference], objectClass(reference) != nil, graphModule(calls[index]) == nil
    else { return false }
    let new = add(.global(name))
    if case .reduce = calls[index].kind {
      guard var arguments = tuple(calls[index].arguments), !arguments.isEmpty else { return false }
      arguments[0] = new
      calls[index].arguments = add(.tuple(arguments))
    } else {
      calls[index].callable = new
    }
    return true
  }

  /// A tensor in place of an object of the file.
  /// - Parameters:
  ///   - parameterRequiresGrad: nil for a plain tensor.
  ///   - location: the device of the model that it becomes part of.
  mutating func add(_ tensor: Tensor, parameterRequiresGrad: Bool?, location: String) -> Reference {
    tensors.append(.init(tensor: tensor, parameterRequiresGrad: parameterRequiresGrad, location: location))
    return add(.tensor(tensors.count - 1))
  }

  /// The same, with the Python attributes of the tensor whose place it takes, such as `weight.sparsity`.
  mutating func add(
    _ tensor: Tensor, parameterRequiresGrad: Bool?, location: String, like old: Reference?
  ) -> Reference {
    guard let old, let call = call(old), let function = className(call.callable), let parts = tuple(call.arguments),
      parts.count == 4
    else { return add(tensor, parameterRequiresGrad: parameterRequiresGrad, location: location) }
    var arguments = parts
    if function.name == "_rebuild_parameter_with_state", let parameterRequiresGrad {
      arguments[0] = add(tensor, parameterRequiresGrad: nil, location: location)
      arguments[1] = add(.bool(parameterRequiresGrad))
    } else if function.name == "_rebuild_from_type_v2", parameterRequiresGrad == nil,
      let before = self.tuple(parts[2]), before.count > 5
    {
      (arguments[0], arguments[2]) = rebuilding(tensor, location, flags: Array(before[4...5]))
    } else {
      return add(tensor, parameterRequiresGrad: parameterRequiresGrad, location: location)
    }
    return addCall(Call(kind: .reduce, callable: call.callable, arguments: add(.tuple(arguments))))
  }

  /// The function that makes a tensor, and what it is given.
  /// - Parameter flags: whether a gradient is required, and the hooks.
  private mutating func rebuilding(
    _ tensor: Tensor, _ location: String, flags: [Reference]
  ) -> (function: Reference, arguments: Reference) {
    let description = TorchTypes.Description(tensor)
    storages.append(
      .init(
        storage: tensor.storage, className: description.storageClass, location: location,
        elementCount: description.storageCount))
    let storage = add(.storage(storages.count - 1))
    let shape = description.shape.map { add(.int($0)) }
    let strides = description.strides.map { add(.int($0)) }
    var parts = [storage, add(.int(description.offset)), add(.tuple(shape)), add(.tuple(strides))] + flags
    if let dtype = description.dtype { parts.append(add(.global(dtype))) }
    let function = add(.global(description.function))
    return (function, add(.tuple(parts)))
  }

  /// A set of texts.
  mutating func addSet(_ names: some Collection<String>) -> Reference {
    let items = names.sorted().map { add(.string($0)) }
    return addCall("builtins", "set", [add(.list(items))])
  }
}
