import ModelCore

/// How a head says where a box is, and what that costs.
struct BoxRegression: Sendable, Hashable {
  /// What its numbers at an anchor are.
  enum Coding: Sendable, Hashable {
    /// From the anchor's point to the left, upper, right and lower side, in cells.
    case distances
    /// Of each such distance the logits that it is 0, 1, … cells.
    case bins(Int)
    /// The centre from the anchor's point, width and height, in cells.
    case center
  }

  let coding: Coding
  let overlap: BoxOverlap

  var channels: Int {
    guard case .bins(let count) = coding else { return 4 }
    return 4 * count
  }

  /// The predicted box of every anchor, in pixels.
  func boxes<Element: LossElement>(_ values: AnchorValues<Element>, on grid: AnchorGrid) -> [CornerBox] {
    grid.points.indices.map { box(values, $0, grid.points[$0]).scaled(by: grid.points[$0].stride) }
  }

  /// The predicted box of an anchor, in cells.
  private func box<Element: LossElement>(
    _ values: AnchorValues<Element>, _ anchor: Int, _ point: AnchorGrid.Point
  ) -> CornerBox {
    let (x, y) = (point.x / point.stride, point.y / point.stride)
    func side(_ side: Int) -> Double { distance(values, anchor, side) }
    if coding == .center {
      return CornerBox(centerX: x + side(0), centerY: y + side(1), width: side(2), height: side(3))
    }
    return CornerBox(x - side(0), y - side(1), x + side(2), y + side(3))
  }

  private func distance<Element: LossElement>(_ values: AnchorValues<Element>, _ anchor: Int, _ side: Int) -> Double {
    guard case .bins(let count) = coding else { return values[anchor, side] }
    return BinDistribution(values, anchor, side, count).mean
  }

  /// What one anchor's box costs beside its target, both parts without weights, and the gradient.
  /// - Parameters:
  ///   - target: in pixels.
  ///   - boxWeight: what the first part counts in the total, which the gradient is of.
  ///   - binsWeight: what the second counts.
  /// - Returns: 1 - overlap, and the cross entropy of the bins beside the target, meant over the sides.
  func cost<Element: LossElement>(
    _ values: AnchorValues<Element>, _ anchor: Int, _ point: AnchorGrid.Point, target: CornerBox, boxWeight: Double,
    binsWeight: Double, gradients: AnchorGradients<Element>
  ) -> (box: Double, bins: Double) {
    let target = target.scaled(by: 1 / point.stride)
    let (x, y) = (point.x / point.stride, point.y / point.stride)
    if coding == .center {
      let found = overlap.gradient(
        centerX: x + values[anchor, 0], centerY: y + values[anchor, 1], width: values[anchor, 2],
        height: values[anchor, 3], target)
      for side in 0..<4 { gradients.set(anchor, side, -found.gradient[side] * boxWeight) }
      return (1 - found.value, 0)
    }
    let found = overlap.gradient(box(values, anchor, point), target)
    let slopes = found.gradient * SIMD4(boxWeight, boxWeight, -boxWeight, -boxWeight)
    guard case .bins(let count) = coding else {
      for side in 0..<4 { gradients.set(anchor, side, slopes[side]) }
      return (1 - found.value, 0)
    }
    let distances = [x - target.x1, y - target.y1, target.x2 - x, target.y2 - y]
    var entropy = 0.0
    for side in 0..<4 {
      let found = BinDistribution(values, anchor, side, count)
      let wanted = min(max(distances[side], 0), Double(count - 1) - 0.01)
      let lower = Int(wanted)
      let share = Double(lower) + 1 - wanted
      for bin in 0..<count {
        let logit = values[anchor, side * count + bin] - found.highest
        let probability = CMath.exp(logit) / found.sum
        let wish = bin == lower ? share : bin == lower + 1 ? 1 - share : 0
        if wish > 0 { entropy -= wish * (logit - CMath.log(found.sum)) }
        let slope = slopes[side] * probability * (Double(bin) - found.mean) + binsWeight / 4 * (probability - wish)
        gradients.set(anchor, side * count + bin, slope)
      }
    }
    return (1 - found.value, entropy / 4)
  }
}

/// The softmax of one side's bins.
private struct BinDistribution {
  /// The highest logit.
  let highest: Double
  /// Of the exponentials of the logits above that.
  let sum: Double
  /// The expected distance.
  let mean: Double

  init<Element: LossElement>(_ values: AnchorValues<Element>, _ anchor: Int, _ side: Int, _ count: Int) {
    var highest = -Double.infinity
    for bin in 0..<count { highest = max(highest, values[anchor, side * count + bin]) }
    var (sum, moment) = (0.0, 0.0)
    for bin in 0..<count {
      let power = CMath.exp(values[anchor, side * count + bin] - highest)
      sum += power
      moment += power * Double(bin)
    }
    (self.highest, self.sum, mean) = (highest, sum, moment / sum)
  }
}
