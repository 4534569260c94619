/// Which names of one state dict mean which of another, when wrappers put prefixes before either's.
package struct NameMatching {
  /// What was taken off the names of the first; and of the second.
  package private(set) var firstPrefix = ""
  package private(set) var secondPrefix = ""
  private var targets: [String: String] = [:]

  private static let wrappers = ["module.", "_orig_mod.", "model.", "ema."]
  /// The most wrappers around one model, and the most ways to be wrapped that are tried for each side.
  private static let depth = 6
  private static let limit = 12

  /// Takes the prefixes off that let most entries match in name and shape, the fewest among equals.
  package init(_ first: StateDict, _ second: StateDict) {
    var best: (count: Int, named: Int, length: Int)?
    for own in Self.prefixes(second) {
      let bare = Self.bare(second, own)
      for other in Self.prefixes(first) {
        var pairs: [String: String] = [:]
        var taken: Set<String> = []
        var shaped = 0
        for (name, tensor) in first.tensors {
          guard let target = bare[Self.dropping(other, from: name)], taken.insert(target).inserted else { continue }
          pairs[name] = target
          if second[target]?.shape == tensor.shape { shaped += 1 }
        }
        let score = (count: shaped, named: pairs.count, length: own.utf8.count + other.utf8.count)
        if let known = best,
          (known.count, known.named, -known.length) >= (score.count, score.named, -score.length)
        {
          continue
        }
        best = score
        (firstPrefix, secondPrefix, targets) = (other, own, pairs)
      }
    }
  }

  /// The second's name for a name of the first.
  package func target(of name: String) -> String? { targets[name] }

  private static func dropping(_ prefix: String, from name: String) -> String {
    name.hasPrefix(prefix) && name.utf8.count > prefix.utf8.count ? String(name.dropFirst(prefix.count)) : name
  }

  private static func bare(_ state: StateDict, _ prefix: String) -> [String: String] {
    Dictionary(state.names.map { (dropping(prefix, from: $0), $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The runs of wrappers' prefixes that names start with, the empty one first.
  private static func prefixes(_ state: StateDict) -> [String] {
    var found: OrderedSet<String> = [""]
    for name in state.names {
      var prefix = ""
      var rest = name[...]
      for _ in 0..<depth {
        guard let next = wrappers.first(where: { rest.hasPrefix($0) }) else { break }
        rest = rest.dropFirst(next.count)
        prefix += next
        found.append(prefix)
        if found.count >= limit { return Array(found) }
      }
    }
    return Array(found)
  }
}
