/// What a pickle remembers, by index: picklers count up from zero, but any index may be set at any time.
struct PickleMemo {
  private var dense: [PickleGraph.Reference] = []
  private var sparse: [Int: PickleGraph.Reference] = [:]

  var count: Int { dense.count + sparse.count }

  subscript(index: Int) -> PickleGraph.Reference? {
    dense.indices.contains(index) ? dense[index] : sparse.isEmpty ? nil : sparse[index]
  }

  mutating func set(_ index: Int, to reference: PickleGraph.Reference) {
    if dense.indices.contains(index) {
      dense[index] = reference
    } else if index == dense.count {
      // Set out of sequence before: the later value counts.
      if !sparse.isEmpty { sparse[index] = nil }
      dense.append(reference)
    } else {
      sparse[index] = reference
    }
  }
}
