import Foundation
import ModelRuntime
import Testing

/// Tests/Fixtures/runtime/runtime.json.
struct Goldens: Decodable {
  struct Quantiles: Decodable {
    let values: [Double]
    let shares: [Double]
    let quantiles: [Double]
    let mean: Double
  }

  let table: [String]
  let quantiles: [Quantiles]

  static func read() throws -> Goldens {
    try JSONDecoder().decode(
      Goldens.self, from: Data(contentsOf: fixtures.appendingPathComponent("runtime/runtime.json")))
  }
}

@Suite struct TimingsTests {
  @Test func quantiles() throws {
    for golden in try Goldens.read().quantiles {
      let timings = Timings(golden.values)
      for (share, expected) in zip(golden.shares, golden.quantiles) {
        // Another order of the same operations.
        #expect(abs(timings.quantile(share) - expected) <= 1e-15 * max(1, expected))
      }
      #expect(abs(timings.mean - golden.mean) <= 1e-14)
      #expect(timings.median == timings.quantile(0.5))
      #expect(timings.minimum == golden.values.min() && timings.maximum == golden.values.max())
      #expect(timings.spread == timings.quantile(0.75) - timings.quantile(0.25))
    }
  }

  @Test func none() {
    let timings = Timings([])
    #expect(timings.mean.isNaN && timings.median.isNaN && timings.spread.isNaN && timings.maximum.isNaN)
    #expect(Timings([1, .nan]).median.isNaN && Timings([1]).quantile(.nan).isNaN)
    #expect(Timings([1, 2]).quantile(-1) == 1 && Timings([1, 2]).quantile(9) == 2)
  }

  @Test func calls() throws {
    var calls = 0
    let timings = try Timings(warmUp: 2, repeats: 5) { calls += 1 }
    #expect(calls == 7 && timings.seconds.count == 5 && timings.seconds.allSatisfy { $0 >= 0 && $0 < 10 })
    #expect(try Timings(warmUp: -1, repeats: 0) { calls += 1 }.seconds.isEmpty && calls == 7)
    struct Fault: Error {}
    #expect(throws: Fault.self) { try Timings { throw Fault() } }
  }

  @Test func description() {
    #expect(
      Timings([0.001, 0.002, 0.004]).description == "median 2 ms, spread 1.5 ms, 1 to 4 ms, 3 times")
  }
}
