import ModelCore

/// Which cells and anchors answer for a box in YOLOv5, its `build_targets`: those of a level whose sides are alike
/// enough, in the cell of the box's centre and in the two cells nearest to it.
struct AnchorMatching: Sendable {
  /// An anchor in a cell, and what it should say.
  struct Match: Sendable, Hashable {
    let anchor, row, column: Int
    let classIndex: Int
    /// In cells, from the cell's corner.
    let target: CornerBox
  }

  /// Width and height in cells.
  let anchors: [SIMD2<Double>]
  let rows, columns: Int
  /// How many times wider, narrower, higher or lower a box may be.
  let threshold: Double

  /// Of each picture, in the original's order: by the cell's place beside the centre's, by anchor, by box.
  func matches(_ targets: [DetectionTargets.Row], pictures: Int) -> [[Match]] {
    var found = [[Match]](repeating: [], count: pictures)
    let ways = [SIMD2(0.0, 0.0), SIMD2(0.5, 0), SIMD2(0, 0.5), SIMD2(-0.5, 0), SIMD2(0, -0.5)]
    let size = SIMD2(Double(columns), Double(rows))
    for (way, offset) in ways.enumerated() {
      for (index, anchor) in anchors.enumerated() {
        for target in targets {
          let sides = SIMD2(target.width, target.height) * size
          guard isAlike(sides, anchor) else { continue }
          let center = SIMD2(target.centerX, target.centerY) * size
          guard way == 0 || isNear(way, center, size) else { continue }
          let column = Self.cell(center.x - offset.x, columns)
          let row = Self.cell(center.y - offset.y, rows)
          let box = CornerBox(
            centerX: center.x - Double(column), centerY: center.y - Double(row), width: sides.x, height: sides.y)
          found[target.picture].append(
            Match(anchor: index, row: row, column: column, classIndex: target.classIndex, target: box))
        }
      }
    }
    return found
  }

  private func isAlike(_ sides: SIMD2<Double>, _ anchor: SIMD2<Double>) -> Bool {
    let ratio = sides / anchor
    return max(ratio.x, 1 / ratio.x, ratio.y, 1 / ratio.y) < threshold
  }

  /// Whether the centre is in the half of its cell towards the left (1), the top (2), the right (3) or the bottom (4),
  /// and there is a cell on that side.
  private func isNear(_ way: Int, _ center: SIMD2<Double>, _ size: SIMD2<Double>) -> Bool {
    let place =
      switch way {
      case 1: center.x
      case 2: center.y
      case 3: size.x - center.x
      default: size.y - center.y
      }
    return place > 1 && place - place.rounded(.down) < 0.5
  }

  private static func cell(_ place: Double, _ count: Int) -> Int {
    Int(min(max(place.rounded(.towardZero), 0), Double(count - 1)))
  }
}
