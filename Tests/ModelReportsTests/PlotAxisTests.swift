import TestSupport
import Testing

@testable import ModelReports

@Suite struct PlotAxisTests {
  private func labels(_ values: [Double], isWhole: Bool = false) -> [String] {
    PlotAxis(values, isWhole: isWhole, isRounded: true).labels
  }

  @Test func roundTicks() {
    #expect(labels([0, 1]) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    #expect(labels([0.03, 2.31]) == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"])
    #expect(labels([-3, 12]) == ["-5", "0", "5", "10", "15"])
    #expect(labels([0.0001, 0.01]) == ["0.000", "0.002", "0.004", "0.006", "0.008", "0.010"])
    #expect(labels([1e-6, 4e-6]) == ["1e-06", "2e-06", "3e-06", "4e-06"])
    #expect(labels([0, 2.5e9]) == ["0", "5.0e+08", "1.0e+09", "1.5e+09", "2.0e+09", "2.5e+09"])
    #expect(labels([0, 3], isWhole: true) == ["0", "1", "2", "3"])
    #expect(labels([7], isWhole: true) == ["6", "7", "8"])
    #expect(labels([]) == labels([0, 1]))
  }

  @Test func anyNumbersMakeAnAxis() {
    var generator = Generator(3)
    let extremes = [0, 5e-300, 1e-290, 1, 1 + 1e-15, 1e16, 1e300, -1e300, -1, .leastNonzeroMagnitude]
    for _ in 0..<2000 {
      let values = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
        let value = extremes.randomElement(using: &generator) ?? 0
        return Bool.random(using: &generator) ? value : value * Double.random(in: -1...1, using: &generator)
      }
      for (isWhole, isRounded) in [(false, true), (true, false), (false, false)] {
        let axis = PlotAxis(values, isWhole: isWhole, isRounded: isRounded)
        let shares = (values + axis.ticks).map(axis.share)
        #expect(axis.low < axis.high && axis.labels.count == axis.ticks.count)
        #expect(shares.allSatisfy { $0 >= -1e-6 && $0 <= 1 + 1e-6 }, "\(values)")
        #expect((1...12).contains(axis.ticks.count) || !isRounded, "\(values) \(axis.ticks)")
      }
    }
  }
}
