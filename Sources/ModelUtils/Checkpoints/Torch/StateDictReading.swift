import ModelCore

/// The entries of a pickled state dict: its own and, under names with dots, those of the dicts inside it.
extension PickleGraph {
  /// An entry that holds a weight or something else.
  struct StateEntry {
    let name: String
    let dictionary: Reference
    /// The place among the dictionary's entries.
    let index: Int
    let key: Reference
    let value: Reference
    /// Whether it stands in the state dict itself, under text.
    let isPlain: Bool
  }

  /// Whether an object is a tensor or an array of numbers.
  func isWeight(_ reference: Reference) -> Bool { isTensor(reference) || isArray(reference) }

  /// All entries that are no dicts of entries, in order. Integer keys are named by their digits.
  /// - Throws: `ModelError` for two entries of one name, and for dicts that hold themselves or are nested too deeply.
  func stateEntries(of reference: Reference) throws -> [StateEntry] {
    var found: [StateEntry] = []
    var names: [String: Int] = [:]
    var budget = Self.nodeLimit
    var known: [Reference: Bool] = [:]
    func isInside(_ value: Reference) throws -> Bool {
      if let known = known[value] { return known }
      let holds = try holdsWeights(value, &budget)
      known[value] = holds
      return holds
    }
    func visit(_ dictionary: Reference, _ prefix: String, _ depth: Int) throws {
      guard depth < 16 else { throw ModelError(.limit, "dicts are nested deeper than 16", subject: prefix) }
      for (index, entry) in (entries(dictionary) ?? []).enumerated() {
        try Self.spend(&budget)
        let isText = text(entry.key) != nil
        guard let part = text(entry.key) ?? int(entry.key).map(String.init) else { continue }
        let name = prefix + part
        if !ModelSelection.isTrainingState(part), try isInside(entry.value) {
          try visit(entry.value, name + ".", depth + 1)
          continue
        }
        let new = StateEntry(
          name: name, dictionary: dictionary, index: index, key: entry.key, value: entry.value,
          isPlain: isText && depth == 0)
        guard let earlier = names.updateValue(found.count, forKey: name) else {
          found.append(new)
          continue
        }
        // Python keeps the last of equal keys at the place of the first.
        names[name] = earlier
        let old = found[earlier]
        guard old.dictionary == dictionary, isSameText(old.key, entry.key) else {
          throw ModelError(
            .malformed, "two entries have this name, in this or another Unicode form or through a dict", subject: name,
            advice: "rename one of them")
        }
        found[earlier] = new
      }
    }
    try visit(reference, "", 0)
    return found
  }

  /// Whether an object is a dict with weights in it or in one of its dicts.
  func holdsWeights(_ reference: Reference) throws -> Bool {
    var budget = Self.nodeLimit
    return try holdsWeights(reference, &budget)
  }

  /// - Parameter budget: how many entries may still be looked at, however many dicts share them.
  private func holdsWeights(_ reference: Reference, _ budget: inout Int) throws -> Bool {
    var pending = [(reference, 0)]
    var seen: Set<Reference> = [reference]
    while let (next, depth) = pending.popLast() {
      guard depth < 16, objectClass(next) == nil || entries(next) != nil else { continue }
      for entry in entries(next) ?? [] where seen.insert(entry.value).inserted {
        try Self.spend(&budget)
        if isWeight(entry.value) { return true }
        pending.append((entry.value, depth + 1))
      }
    }
    return false
  }

  private static func spend(_ budget: inout Int) throws {
    budget -= 1
    guard budget > 0 else { throw ModelError(.limit, "dicts that many share hold too many entries") }
  }

  private func isSameText(_ first: Reference, _ second: Reference) -> Bool {
    guard let a = text(first), let b = text(second) else { return int(first) != nil && int(first) == int(second) }
    return a.utf8.elementsEqual(b.utf8)
  }

  /// The tensor that an entry stands for; nil for what is none.
  func weight(_ reference: Reference) throws -> Tensor? {
    isTensor(reference) ? try tensor(reference).tensor : try array(reference)
  }

  /// Puts another object at an entry's place.
  mutating func replace(_ entry: StateEntry, with value: Reference) {
    switch nodes[entry.dictionary] {
    case .call(let index): calls[index].entries[entry.index].value = value
    default: nodes[entry.dictionary].setValue(value, at: entry.index)
    }
  }

  /// Takes entries out.
  mutating func remove(_ entries: [StateEntry]) {
    for (dictionary, gone) in Dictionary(grouping: entries, by: \.dictionary) {
      let keys = Set(gone.map(\.key))
      setEntries((self.entries(dictionary) ?? []).filter { !keys.contains($0.key) }, of: dictionary)
    }
  }
}

extension PickleGraph.Node {
  /// Sets the value of a dict's entry; nobody else may hold the array, or each change would copy it.
  fileprivate mutating func setValue(_ value: PickleGraph.Reference, at index: Int) {
    guard case .dict(var entries) = self else { return }
    self = .none
    entries[index].value = value
    self = .dict(entries)
  }
}
