import ModelCore
import ModelRandom

/// The shapes of a drawn set, in the order of their classes.
public enum DrawnShape: String, Sendable, Codable, CaseIterable {
  /// Filled ones, and a ring.
  case circle, square, triangle, star, cross, ring

  /// Samples a side of a pixel.
  private static let samples = 4
  /// Every shape lies within this many radii of its middle.
  private static let reach = 1.11

  /// The shape with its middle at a place, in pixels, of any rotation and colour.
  func stamp(x: Double, y: Double, radius: Double, size: Int, drawing generator: inout NumPyGenerator) -> DrawnStamp {
    let angle = generator.uniform(from: 0, to: 2 * Double.pi)
    let color = (0..<3).map { _ in generator.uniform() }
    func pixels(around middle: Double) -> Range<Int> {
      let reach = Self.reach * radius + 1
      return max(0, Int(middle - reach))..<min(size, Int(middle + reach) + 1)
    }
    let (columns, rows) = (pixels(around: x), pixels(around: y))
    let (cosine, sine) = (CMath.cos(angle), CMath.sin(angle))
    let steps = Self.samples
    var counts = [Int](repeating: 0, count: columns.count * rows.count)
    for line in rows.lowerBound * steps..<rows.upperBound * steps {
      let dy = (Double(line) + 0.5) / Double(steps) - y
      let start = (line / steps - rows.lowerBound) * columns.count
      for place in columns.lowerBound * steps..<columns.upperBound * steps {
        let dx = (Double(place) + 0.5) / Double(steps) - x
        let across = (cosine * dx + sine * dy) / radius
        let down = (-sine * dx + cosine * dy) / radius
        if contains(across, down) { counts[start + place / steps - columns.lowerBound] += 1 }
      }
    }
    return DrawnStamp(
      columns: columns, rows: rows, cover: counts.map { Double($0) / Double(steps * steps) }, colors: color)
  }

  /// Whether a place lies in the shape, in radii from its middle.
  private func contains(_ u: Double, _ v: Double) -> Bool {
    switch self {
    case .circle: return Self.isNearer(u, v, than: 1)
    case .square: return max(abs(u), abs(v)) < 0.78
    case .triangle: return v < 0.5 && v > -1 + abs(u) * 3.0.squareRoot()
    case .cross: return (abs(u) < 0.3 && abs(v) < 0.95) || (abs(v) < 0.3 && abs(u) < 0.95)
    case .ring: return Self.isNearer(u, v, than: 1) && Self.isFarther(u, v, than: 0.58)
    case .star:
      // Beyond .62 nothing, within .4 everything.
      let square = u * u + v * v
      guard square < 0.39 else { return false }
      guard square > 0.16 else { return true }
      let arm = 2 * Double.pi / 5
      var turn = CMath.atan2(v, u).truncatingRemainder(dividingBy: arm)
      if turn < 0 { turn += arm }
      turn -= Double.pi / 5
      return CMath.hypot(u, v) * (CMath.cos(turn) + 0.55 * abs(CMath.sin(turn)) * 2.2) < 0.62
    }
  }

  /// `hypot(u, v) < limit`; the root is taken only where rounding could matter.
  private static func isNearer(_ u: Double, _ v: Double, than limit: Double) -> Bool {
    let (square, bound) = (u * u + v * v, limit * limit)
    return square < bound * (1 - 1e-9) || (square < bound * (1 + 1e-9) && CMath.hypot(u, v) < limit)
  }

  private static func isFarther(_ u: Double, _ v: Double, than limit: Double) -> Bool {
    let (square, bound) = (u * u + v * v, limit * limit)
    return square > bound * (1 + 1e-9) || (square > bound * (1 - 1e-9) && CMath.hypot(u, v) > limit)
  }
}
