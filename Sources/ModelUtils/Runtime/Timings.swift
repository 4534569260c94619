import ModelCore

/// Durations of the same work, done several times.
public struct Timings: Sendable, Hashable, Codable {
  /// In the order in which they were taken.
  public let seconds: [Double]

  /// Durations in seconds that were taken elsewhere.
  public init(_ seconds: [Double]) { self.seconds = seconds }

  /// Times `body`, which waits for a CUDA context as `timeSynchronized` does.
  /// - Parameters:
  ///   - warmUp: calls before the first that counts: caches fill, memory is taken, clocks rise.
  ///   - repeats: calls that count.
  public init(warmUp: Int = 3, repeats: Int = 10, of body: () throws -> Void) throws {
    for _ in 0..<max(0, warmUp) { try body() }
    seconds = try (0..<max(0, repeats)).map { _ in
      let start = try timeSynchronized()
      try body()
      return try timeSynchronized() - start
    }
  }

  /// NaN for no durations, as are the others.
  public var mean: Double { seconds.isEmpty ? .nan : seconds.reduce(0, +) / Double(seconds.count) }
  /// The shortest, in seconds.
  public var minimum: Double { quantile(0) }
  /// The middle one, in seconds; the mean of the middle two where their number is even.
  public var median: Double { quantile(0.5) }
  /// The longest, in seconds.
  public var maximum: Double { quantile(1) }

  /// How far the middle half of the durations reaches: the third quartile less the first.
  public var spread: Double { quantile(0.75) - quantile(0.25) }

  /// The value below which a share of the durations lies, linear between two of them (NumPy's default).
  /// - Parameter share: from 0 to 1; what lies outside counts as the nearer end.
  public func quantile(_ share: Double) -> Double {
    guard !seconds.isEmpty, !share.isNaN, !seconds.contains(where: \.isNaN) else { return .nan }
    let sorted = seconds.sorted()
    let place = min(max(share, 0), 1) * Double(sorted.count - 1)
    let low = Int(place)
    guard low + 1 < sorted.count, place > Double(low) else { return sorted[low] }
    return sorted[low] + (sorted[low + 1] - sorted[low]) * (place - Double(low))
  }
}

extension Timings: CustomStringConvertible {
  /// `median 1.23 ms, spread 0.04 ms, 1.2 to 1.3 ms, 10 times`.
  public var description: String {
    func text(_ seconds: Double) -> String { CFormat.string("%.3g", seconds * 1000) }
    let range = "\(text(minimum)) to \(text(maximum)) ms"
    return "median \(text(median)) ms, spread \(text(spread)) ms, \(range), \(seconds.count) times"
  }
}
