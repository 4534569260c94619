/// A shell pattern over names: `*` any run of characters (dots included), `?` one character, `[a-z]` a set, `[!a]` its
/// complement. Everything else stands for itself.
public struct Glob: Sendable, Hashable {
  /// The pattern as it was written.
  public let pattern: String
  private let tokens: [Token]

  private enum Token: Sendable, Hashable {
    case character(Character)
    case any
    case star
    case set([ClosedRange<Character>], negated: Bool)
  }

  /// Reads a pattern; a `[` that nothing closes stands for itself.
  public init(_ pattern: String) {
    self.pattern = pattern
    var tokens: [Token] = []
    var rest = Array(pattern)[...]
    while let character = rest.popFirst() {
      switch character {
      case "*": if tokens.last != .star { tokens.append(.star) }
      case "?": tokens.append(.any)
      case "[":
        if let set = Self.parseSet(&rest) { tokens.append(set) } else { tokens.append(.character("[")) }
      default: tokens.append(.character(character))
      }
    }
    self.tokens = tokens
  }

  private static func parseSet(_ rest: inout ArraySlice<Character>) -> Token? {
    var body = rest
    var negated = false
    if body.first == "!" || body.first == "^" {
      negated = true
      body.removeFirst()
    }
    var ranges: [ClosedRange<Character>] = []
    while let low = body.popFirst() {
      if low == "]" && !ranges.isEmpty {
        rest = body
        return .set(ranges, negated: negated)
      }
      if body.first == "-", let high = body.dropFirst().first, high != "]", low <= high {
        ranges.append(low...high)
        body = body.dropFirst(2)
      } else {
        ranges.append(low...low)
      }
    }
    return nil
  }

  /// Whether a dotted name, or one of the paths that lead to it, is one that the pattern stands for: `model.24` and
  /// `model.24.*` are all of `model.24`.
  public func matches(withAncestors name: String) -> Bool {
    if matches(name) { return true }
    var path = name[...]
    while let dot = path.lastIndex(of: ".") {
      path = path[..<dot]
      if matches(String(path)) { return true }
    }
    return false
  }

  /// Whether a whole name is one that the pattern stands for.
  public func matches(_ name: String) -> Bool { captures(name) != nil }

  /// What each `*`, `?` and set stood for, in order, every star taking as little as it can; nil where the name does not
  /// match.
  public func captures(_ name: String) -> [String]? {
    let characters = Array(name)
    // matches[t][p]: the tokens from t on match the characters from p on.
    var matches = [[Bool]](
      repeating: [Bool](repeating: false, count: characters.count + 1), count: tokens.count + 1)
    matches[tokens.count][characters.count] = true
    for token in tokens.indices.reversed() {
      for position in (0...characters.count).reversed() {
        let hasCharacter = position < characters.count
        matches[token][position] =
          if tokens[token] == .star {
            matches[token + 1][position] || (hasCharacter && matches[token][position + 1])
          } else {
            hasCharacter && accepts(tokens[token], characters[position]) && matches[token + 1][position + 1]
          }
      }
    }
    guard matches[0][0] else { return nil }
    var captures: [String] = []
    var position = 0
    for token in tokens.indices {
      let start = position
      if tokens[token] == .star {
        while !matches[token + 1][position] { position += 1 }
      } else {
        position += 1
      }
      if case .character = tokens[token] { continue }
      captures.append(String(characters[start..<position]))
    }
    return captures
  }

  private func accepts(_ token: Token, _ character: Character) -> Bool {
    switch token {
    case .character(let expected): expected == character
    case .any: true
    case .set(let ranges, let negated): ranges.contains { $0.contains(character) } != negated
    case .star: false
    }
  }
}
