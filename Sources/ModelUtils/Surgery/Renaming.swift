import ModelCore

/// Another name for what a pattern stands for: `module.*=*`.
public struct RenamePattern: Sendable, Hashable {
  /// The names that it is about.
  public let old: Glob
  /// The new name, in which each `*` or `?` stands for what the pattern's wildcard of the same place stood for.
  public let new: String

  /// Reads `OLD=NEW`.
  /// - Throws: `ModelError` for anything else, and for more wildcards in the new name than in the pattern.
  public init(_ text: String) throws {
    let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard sides.count == 2, !sides.contains("") else {
      throw ModelError(.invalid, "'\(text)' is no new name", advice: "write OLD=NEW, for example 'module.*=*'")
    }
    (old, new) = (Glob(sides[0]), sides[1])
    func wildcards(_ text: String) -> Int { text.filter { "*?".contains($0) }.count }
    let known = wildcards(sides[0]) + sides[0].filter { $0 == "[" }.count
    guard wildcards(new) <= known else {
      throw ModelError(.invalid, "'\(new)' has more wildcards than '\(sides[0])', which it is to replace")
    }
  }

  /// The new name of what the pattern matches, or of what stands in a module that it matches; nil for what it does not.
  public func renamed(_ name: String) -> String? {
    var path = name[...]
    while true {
      if var captures = old.captures(String(path))?[...] {
        let start = new.map { "*?".contains($0) ? captures.popFirst() ?? "" : String($0) }.joined()
        return start + name[path.endIndex...]
      }
      guard let dot = path.lastIndex(of: ".") else { return nil }
      path = path[..<dot]
    }
  }
}

/// What `edit` did to a state dict.
public struct EditReport: Sendable, Codable, Hashable {
  /// How many entries got another name, were taken out, and came from other files.
  public internal(set) var renamed = 0, dropped = 0, added = 0
  /// The patterns that matched nothing.
  public internal(set) var unmatched: [String] = []
}

extension StateDict {
  /// Takes entries out, gives others new names, and adds those of other state dicts, in this order.
  /// - Parameters:
  ///   - keep: names, or paths that lead to them, of what stays; everything when empty.
  ///   - drop: of what goes.
  ///   - rename: the first that matches counts.
  ///   - merging: whose entries follow.
  /// - Throws: `ModelError` where two entries would have one name.
  public mutating func edit(
    keep: [Glob] = [], drop: [Glob] = [], rename: [RenamePattern] = [], merging others: [StateDict] = []
  ) throws -> EditReport {
    var report = EditReport()
    var matched: Set<String> = []
    func any(_ globs: [Glob], _ name: String) -> Bool {
      let found = globs.filter { $0.matches(withAncestors: name) }
      matched.formUnion(found.map(\.pattern))
      return !found.isEmpty
    }
    var result = StateDict([:], metadata: metadata)
    func add(_ tensor: Tensor, as name: String, _ origin: String) throws {
      guard result[name] == nil else {
        throw ModelError(.invalid, "would be the name of two entries, \(origin) the second", subject: name)
      }
      result[name] = tensor
    }
    for (name, tensor) in tensors {
      let isKept = keep.isEmpty || any(keep, name)
      guard !any(drop, name), isKept else {
        report.dropped += 1
        continue
      }
      var new = name
      for rule in rename {
        guard let renamed = rule.renamed(name) else { continue }
        new = renamed
        matched.insert(rule.old.pattern)
        break
      }
      if new != name { report.renamed += 1 }
      try add(tensor, as: new, name)
    }
    for other in others {
      for (name, tensor) in other.tensors {
        try add(tensor, as: name, "that of the file to be merged")
        report.added += 1
      }
    }
    report.unmatched = (keep + drop + rename.map(\.old)).map(\.pattern).filter { !matched.contains($0) }
    self = result
    return report
  }
}
