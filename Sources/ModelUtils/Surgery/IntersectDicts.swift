import ModelCore

/// The entries of `first` whose name `second` has too, with the same shape, and whose name contains none of `exclude`:
/// YOLOv5's `intersect_dicts`. Element types do not matter.
public func intersectDicts(_ first: StateDict, _ second: StateDict, exclude: [String] = []) -> StateDict {
  StateDict(
    first.tensors.filter { name, tensor in
      second[name]?.shape == tensor.shape && !exclude.contains { name.contains($0) }
    })
}

/// What went from a pretrained model into a target, and why the rest did not.
public struct IntersectionReport: Sendable, Codable, CustomStringConvertible {
  /// An entry that was not transferred.
  public struct Skipped: Sendable, Codable, Hashable {
    /// The target's name of it, or the pretrained model's where the target has none.
    public let name: String
    /// Why not, in words.
    public let reason: String
  }

  /// The target's names of what it was given, in its order.
  public let transferred: [String]
  /// Every other entry of either side, the pretrained model's first.
  public let skipped: [Skipped]
  /// How many entries the target has.
  public let targetCount: Int
  /// The wrappers' prefixes that were taken off the pretrained model's names to match them; empty where none were.
  public let pretrainedPrefix: String
  /// The same of the target's names, for matching only.
  public let targetPrefix: String
  /// The exclusions that leave nothing out.
  public let unmatched: [String]
  /// What to do where nothing was transferred, in words; nil where something was.
  public let hint: String?

  public var description: String { "Transferred \(transferred.count)/\(targetCount) items" }

  /// Which prefixes were taken off, in words; nil where none were.
  public var prefixNote: String? {
    switch (pretrainedPrefix.isEmpty, targetPrefix.isEmpty) {
    case (true, true): nil
    case (false, true): "names match without the prefix '\(pretrainedPrefix)' of the pretrained model"
    case (true, false): "names match without the prefix '\(targetPrefix)' of the target"
    case (false, false):
      "names match without the prefixes '\(pretrainedPrefix)' of the pretrained model and '\(targetPrefix)' of the target"
    }
  }
}

extension WeightContainer {
  /// Puts in the entries of a pretrained model that fit by name and shape (parameters and persistent buffers),
  /// converted to this model's element types.
  ///
  /// The prefixes of wrappers (`module.`, `_orig_mod.`, `model.`, `ema.`, in any order and number) are taken off either
  /// side where more entries match that way; where nothing matches, so are the prefixes that most names bear
  /// (`net.`, `backbone.`), if one lets more match than all others. The original knows no prefixes.
  /// - Parameters:
  ///   - exclude: an entry whose name (in this model) contains one of these, or matches it as a `Glob` by itself or by one
  ///     of the paths that lead to it, stays as it is.
  ///   - pretrainedPrefix: what is taken off the pretrained model's names; nil to find it.
  ///   - targetPrefix: what is taken off this model's names for matching; nil to find it.
  /// - Throws: `ModelError` for values that cannot be converted or read; the model is then as it was.
  @discardableResult
  public mutating func transfer(
    from pretrained: StateDict, exclude: [String] = [], pretrainedPrefix: String? = nil, targetPrefix: String? = nil
  ) throws -> IntersectionReport {
    let target = stateDict()
    let globs = exclude.map { Glob($0) }
    func exclusion(of name: String) -> String? {
      globs.first { name.contains($0.pattern) || $0.matches(withAncestors: name) }?.pattern
    }
    let matching = NameMatching(
      pretrained, target, firstPrefix: pretrainedPrefix, secondPrefix: targetPrefix)
    var transferred: Set<String> = []
    var reached: Set<String> = []
    var skipped: [IntersectionReport.Skipped] = []
    // Tied entries stay tied.
    var casts: [CastKey: Tensor] = [:]
    var tensors: [String: Tensor] = [:]
    for (source, tensor) in pretrained.tensors {
      guard let name = matching.target(of: source), let old = target[name] else {
        skipped.append(.init(name: source, reason: "not in target"))
        continue
      }
      reached.insert(name)
      if let text = exclusion(of: name) {
        skipped.append(.init(name: name, reason: "excluded by '\(text)'"))
      } else if old.shape != tensor.shape {
        skipped.append(.init(name: name, reason: "shape \(tensor.shape) against \(old.shape)"))
      } else {
        let key = CastKey(identity: tensor.identity, dtype: old.dtype)
        do {
          let new = try casts[key] ?? tensor.cast(to: old.dtype)
          casts[key] = new
          tensors[name] = new
        } catch let error as ModelError { throw error.about(name) }
        transferred.insert(name)
      }
    }
    setTensors { tensors[$0] }
    for name in target.names where !reached.contains(name) {
      skipped.append(.init(name: name, reason: "not in pretrained"))
    }
    return IntersectionReport(
      transferred: target.names.filter { transferred.contains($0) }, skipped: skipped, targetCount: target.count,
      pretrainedPrefix: matching.firstPrefix, targetPrefix: matching.secondPrefix,
      unmatched: globs.map(\.pattern).filter { text in !target.names.contains { exclusion(of: $0) == text } },
      hint: transferred.isEmpty ? matching.hint(pretrained, target) : nil)
  }
}

extension NameMatching {
  /// What tells a user why nothing matches.
  fileprivate func hint(_ pretrained: StateDict, _ target: StateDict) -> String {
    if !undecided.isEmpty {
      let (own, others) = (OrderedSet(undecided.map(\.second)), OrderedSet(undecided.map(\.first)))
      let (side, prefixes) = own.count > 1 ? ("target", own) : ("pretrained", others)
      let list = prefixes.map { "'\($0)'" }.joined(separator: ", ")
      return "nothing was transferred: the \(side) model's names match without any of the prefixes \(list); "
        + "choose one with --\(side)-prefix"
    }
    guard let first = pretrained.names.first, let second = target.names.first else {
      return "nothing was transferred: one of the two has no tensors"
    }
    guard count == 0 else { return "nothing was transferred: what matches is excluded" }
    return "nothing was transferred: the pretrained model's names start with '\(first)', the target's with '\(second)'"
  }
}

private struct CastKey: Hashable {
  let identity: Tensor.Identity
  let dtype: DType
}
