import ModelCore

/// How much to prune: a number of elements or a share of them.
public enum PruneAmount: Sendable, Hashable {
  /// So many elements, or slices where whole slices go.
  case count(Int)
  /// From 0 to 1.
  case share(Double)

  /// Reads `100` as a count, `0.3` and `30%` as shares.
  /// - Throws: `ModelError` for anything else, a negative number, or a share above 1.
  public init(_ text: String) throws {
    func invalid(_ reason: String) -> ModelError {
      ModelError(
        .invalid, "amount '\(text)' \(reason)", advice: "give a count such as 100 or a share such as 0.3 or 30%")
    }
    if let count = Int(text) {
      guard count >= 0 else { throw invalid("is negative") }
      self = .count(count)
      return
    }
    let isPercentage = text.hasSuffix("%")
    guard let number = Double(isPercentage ? String(text.dropLast()) : text) else { throw invalid("is no number") }
    let share = isPercentage ? number / 100 : number
    guard share >= 0, share <= 1 else { throw invalid("is not between 0 and 1") }
    self = .share(share)
  }

  /// The number of elements out of `total`; a share rounds half to even, as the originals do.
  /// - Throws: `ModelError` when a count exceeds the total.
  public func count(of total: Int) throws -> Int {
    switch self {
    case .count(let count):
      guard (0...total).contains(count) else { throw ModelError(.invalid, "\(count) cannot be pruned of \(total)") }
      return count
    case .share(let share):
      guard share >= 0, share <= 1 else { throw ModelError(.invalid, "the share \(share) is not between 0 and 1") }
      return Int((share * Double(total)).rounded(.toNearestOrEven))
    }
  }
}
