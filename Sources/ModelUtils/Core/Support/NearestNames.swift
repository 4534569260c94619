extension Sequence<String> {
  /// The three names with the fewest edits, in a sentence: `a, b, c`; empty where there is none.
  package func nearest(to name: String) -> String {
    let limits = (names: 1 << 14, length: 128)
    let name = String(name.prefix(64)).lowercased()
    var seen: Set<String> = []
    let names = lazy.prefix(limits.names).filter { !$0.isEmpty && seen.insert($0).inserted }
    let ranked = names.map { (name: $0, edits: String($0.prefix(limits.length)).lowercased().edits(to: name)) }
      .sorted { $0.edits < $1.edits }
    return ranked.prefix(3).map(\.name).joined(separator: ", ")
  }
}

extension String {
  /// Levenshtein's distance.
  fileprivate func edits(to other: String) -> Int {
    let (first, second) = (Array(utf8), Array(other.utf8))
    var row = Array(0...second.count)
    for (i, a) in first.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in second.enumerated() {
        (diagonal, row[j + 1]) = (row[j + 1], Swift.min(row[j] + 1, row[j + 1] + 1, diagonal + (a == b ? 0 : 1)))
      }
    }
    return row[second.count]
  }
}
