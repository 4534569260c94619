/// Which names of one state dict mean which of another, when either's stand behind prefixes.
///
/// Wrappers' prefixes are taken off where more entries match that way. Where not one entry matches so, the prefixes
/// that most names bear are tried as well: what a training framework or a larger model calls the network in it.
package struct NameMatching {
  /// What was taken off the names of the first; and of the second.
  package var firstPrefix: String { fit.firstPrefix }
  package var secondPrefix: String { fit.secondPrefix }
  /// How many entries match in name and shape.
  package var count: Int { fit.count }
  /// The prefixes of both that let as many entries match as each other, so that none was taken.
  package private(set) var undecided: [(first: String, second: String)] = []
  private var fit: Fit

  /// Matches by the prefixes that are given, or else by those that let most entries match in name and shape.
  package init(_ first: StateDict, _ second: StateDict, firstPrefix: String? = nil, secondPrefix: String? = nil) {
    func fits(_ prefixes: (StateDict) -> [String]) -> [Fit] {
      Fit.best(
        first, firstPrefix.map { [$0] } ?? prefixes(first), second, secondPrefix.map { [$0] } ?? prefixes(second))
    }
    fit = fits(Self.wrapperPrefixes)[0]
    guard fit.count == 0 else { return }
    let borne = fits(Self.bornePrefixes)
    guard borne[0].count > 0 else { return }
    if borne.contains(where: { $0.targets != borne[0].targets }) {
      undecided = borne.map { ($0.firstPrefix, $0.secondPrefix) }
    } else {
      fit = borne[0]
    }
  }

  /// The second's name for a name of the first.
  package func target(of name: String) -> String? { fit.targets[name] }

  // MARK: Prefixes

  private static let wrappers = ["module.", "_orig_mod.", "model.", "ema."]
  /// The most names that make a prefix, and the most prefixes that are tried for each side.
  private static let depth = 6
  private static let limit = 12

  /// The runs of wrappers' prefixes that names start with, the empty one first.
  private static func wrapperPrefixes(_ state: StateDict) -> [String] {
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

  /// The dotted prefixes that most names start with, the empty one first.
  private static func bornePrefixes(_ state: StateDict) -> [String] {
    var counts: OrderedDictionary<Substring, Int> = [:]
    for name in state.names {
      let dots = name.utf8.indices.lazy.filter { name.utf8[$0] == UInt8(ascii: ".") }
      for dot in dots.prefix(depth) { counts[name[...dot], default: 0] += 1 }
    }
    let most = counts.sorted { ($1.value, $0.key.utf8.count) < ($0.value, $1.key.utf8.count) }
    return [""] + most.prefix(limit - 1).map { String($0.key) }
  }
}

/// What matches once a prefix is taken off either side's names.
private struct Fit {
  let firstPrefix: String
  let secondPrefix: String
  /// The first's names with the second's.
  private(set) var targets: [String: String] = [:]
  /// How many of them have the same shape.
  private(set) var count = 0

  private var length: Int { firstPrefix.utf8.count + secondPrefix.utf8.count }

  private init(
    _ first: StateDict, _ firstPrefix: String, _ second: StateDict, _ secondPrefix: String, bare: [String: String]
  ) {
    (self.firstPrefix, self.secondPrefix) = (firstPrefix, secondPrefix)
    var taken: Set<String> = []
    for (name, tensor) in first.tensors {
      guard let target = bare[Self.dropping(firstPrefix, from: name)], taken.insert(target).inserted else { continue }
      targets[name] = target
      if second[target]?.shape == tensor.shape { count += 1 }
    }
  }

  /// The fits in which most entries match in name and shape, then in name, those with the shortest prefixes first.
  static func best(
    _ first: StateDict, _ firstPrefixes: [String], _ second: StateDict, _ secondPrefixes: [String]
  ) -> [Fit] {
    var best: [Fit] = []
    for secondPrefix in secondPrefixes {
      let bare = Dictionary(
        second.names.map { (dropping(secondPrefix, from: $0), $0) }, uniquingKeysWith: { first, _ in first })
      for firstPrefix in firstPrefixes {
        let fit = Fit(first, firstPrefix, second, secondPrefix, bare: bare)
        if let known = best.first {
          let (old, new) = ((known.count, known.targets.count), (fit.count, fit.targets.count))
          if new < old { continue }
          if new > old { best = [] }
        }
        best.append(fit)
      }
    }
    return best.enumerated().sorted { ($0.element.length, $0.offset) < ($1.element.length, $1.offset) }.map(\.element)
  }

  private static func dropping(_ prefix: String, from name: String) -> String {
    name.hasPrefix(prefix) && name.utf8.count > prefix.utf8.count ? String(name.dropFirst(prefix.count)) : name
  }
}
