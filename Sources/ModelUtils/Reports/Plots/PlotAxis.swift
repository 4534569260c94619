import ModelCore

/// One direction of a plot: an interval and round numbers within it.
struct PlotAxis: Hashable {
  /// Where it begins and ends.
  let low, high: Double
  /// Round numbers from `low` to `high`, rising.
  let ticks: [Double]
  /// The ticks as text, all with as many digits.
  let labels: [String]

  /// Values beyond it are not drawn.
  static let limit = 1e300

  /// An axis on which all values lie.
  /// - Parameters:
  ///   - values: finite and within the limit.
  ///   - isWhole: whether ticks are whole numbers.
  ///   - isRounded: whether the axis goes on to the ticks around the values.
  init(_ values: [Double], isWhole: Bool, isRounded: Bool) {
    var low = values.min() ?? 0
    var high = values.max() ?? 1
    let least = max(max(abs(low), abs(high)) * 1e-6, 1e-290)
    if high - low <= least {
      let middle = low + (high - low) / 2
      let half = isWhole ? max(1, least) : abs(middle) < 1e-280 ? 1 : abs(middle) * 0.1
      (low, high) = (middle - half, middle + half)
    }
    let step = Self.step((high - low) / 5, isWhole: isWhole)
    if isRounded { (low, high) = ((low / step).rounded(.down) * step, (high / step).rounded(.up) * step) }
    let first = (low / step - 1e-9).rounded(.up)
    var ticks: [Double] = []
    while ticks.count < 20 {
      let tick = (first + Double(ticks.count)) * step
      if tick > high + step * 1e-9 { break }
      ticks.append(tick == 0 ? 0 : tick)
    }
    (self.low, self.high, self.ticks) = (low, high, ticks)
    labels = Self.labels(ticks, step: step)
  }

  /// How far along the axis a value lies: 0 at `low`, 1 at `high`.
  func share(of value: Double) -> Double { (value - low) / (high - low) }

  /// The least of 1, 2 and 5 times a power of ten that is not below a length.
  private static func step(_ length: Double, isWhole: Bool) -> Double {
    if isWhole && length <= 1 { return 1 }
    let power = CMath.pow(10, (CMath.log(length) / CMath.log(10)).rounded(.down))
    return [1, 2, 5, 10].lazy.map { $0 * power }.first { $0 >= length * (1 - 1e-9) } ?? 10 * power
  }

  private static func labels(_ ticks: [Double], step: Double) -> [String] {
    let largest = ticks.map(abs).max() ?? 0
    let digit = Int((CMath.log(step) / CMath.log(10) + 1e-9).rounded(.down))
    if largest < 1e7, digit >= -4 {
      return ticks.map { CFormat.string("%.\(max(0, -digit))f", $0) }
    }
    let places = max(0, Int((CMath.log(max(largest, step)) / CMath.log(10) + 1e-9).rounded(.down)) - digit)
    return ticks.map { $0 == 0 ? "0" : CFormat.string("%.\(min(places, 15))e", $0) }
  }
}
