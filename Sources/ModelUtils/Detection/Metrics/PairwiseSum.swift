/// Sums of doubles in NumPy's order, which keeps rounding errors small and makes means equal to the originals'.
enum PairwiseSum {
  /// The sum: up to 128 terms in eight rows, more as the sum of two halves.
  static func sum(_ terms: [Double]) -> Double { terms.withUnsafeBufferPointer { sum($0, 0..<terms.count) } }

  /// The mean; nil of nothing.
  static func mean(_ terms: [Double]) -> Double? { terms.isEmpty ? nil : sum(terms) / Double(terms.count) }

  private static func sum(_ terms: UnsafeBufferPointer<Double>, _ range: Range<Int>) -> Double {
    let (start, count) = (range.lowerBound, range.count)
    if count < 8 { return range.reduce(0) { $0 + terms[$1] } }
    if count > 128 {
      let half = count / 2 - count / 2 % 8
      return sum(terms, start..<start + half) + sum(terms, start + half..<range.upperBound)
    }
    var rows = SIMD8<Double>(repeating: 0)
    let whole = count - count % 8
    for offset in stride(from: 0, to: whole, by: 8) {
      for row in 0..<8 { rows[row] += terms[start + offset + row] }
    }
    let fours = ((rows[0] + rows[1]) + (rows[2] + rows[3]), (rows[4] + rows[5]) + (rows[6] + rows[7]))
    return (start + whole..<range.upperBound).reduce(fours.0 + fours.1) { $0 + terms[$1] }
  }
}
