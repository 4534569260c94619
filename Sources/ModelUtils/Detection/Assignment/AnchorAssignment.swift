import ModelCore

/// An anchor that answers for a box. Anchors that answer for none are background.
public struct AnchorAssignment: Sendable, Hashable {
  /// The anchor's place in the grid.
  public let anchor: Int
  /// The box's place among the picture's.
  public let target: Int
  /// What its class is to score, 0 to 1 or a little more.
  public var score: Double
}

extension AnchorGrid {
  /// - Throws: `ModelError` for another number of predictions than anchors, for sides that are not finite, and for a
  ///   negative number of candidates.
  func check(_ targets: [TargetBox], _ predictions: [CornerBox], candidates: Int) throws {
    guard predictions.count == count else {
      throw ModelError(.mismatch, "\(predictions.count) boxes are not one for each of \(count) anchors")
    }
    guard targets.allSatisfy(\.box.isFinite), predictions.allSatisfy(\.isFinite) else {
      throw ModelError(.invalid, "boxes that are not finite cannot be compared")
    }
    guard candidates >= 0 else { throw ModelError(.invalid, "a box cannot choose \(candidates) anchors") }
  }
}

/// Which boxes want which anchors.
struct AnchorClaims {
  private enum State { static let free: Int32 = -1, contested: Int32 = -2 }
  private var owners: [Int32]

  init(anchors: Int) { owners = [Int32](repeating: State.free, count: anchors) }

  mutating func claim(_ anchor: Int, for target: Int) {
    owners[anchor] = owners[anchor] == State.free ? Int32(target) : State.contested
  }

  /// The anchors that are wanted, in their order. One that several boxes want goes to the box with the highest overlap
  /// of all, whether or not it is among them; of equal ones to the first.
  func settled(targets: Int, _ overlap: (_ target: Int, _ anchor: Int) -> Double) -> [AnchorAssignment] {
    var found: [AnchorAssignment] = []
    for (anchor, owner) in owners.enumerated() where owner != State.free {
      var best = max(Int(owner), 0)
      if owner == State.contested {
        var highest = -Double.infinity
        for target in 0..<targets {
          let value = overlap(target, anchor)
          if value > highest { (highest, best) = (value, target) }
        }
      }
      found.append(AnchorAssignment(anchor: anchor, target: best, score: 0))
    }
    return found
  }
}
