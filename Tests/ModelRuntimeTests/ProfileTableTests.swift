import ModelRuntime
import Testing

@Suite struct ProfileTableTests {
  /// The figures of Tests/Fixtures/runtime/make_runtime.py, whose lines the original's format strings made.
  private static let rows = [
    ProfileRow(forward: Timings([0.001]), input: [16, 3, 640, 640], output: [16, 3, 640, 640]),
    ProfileRow(
      parameters: 7_235_389, gflops: 16.4852345, gpuMemory: 1_234_567_000, forward: Timings([0.123456789]),
      backward: Timings([0.000123456e-3]), input: [1, 3, 64, 48], output: [1, 255]),
    ProfileRow(
      parameters: 12, gflops: 1e-9, gpuMemory: 80_000_000_000, forward: Timings([1000]), backward: Timings([1234.567]),
      input: [3], output: nil),
    ProfileRow(
      parameters: 123_456_789_012_345, gflops: 1_234_567, gpuMemory: 500_000, forward: Timings([99.9995]),
      backward: Timings([0.0001]), input: nil, output: []),
  ]

  @Test func lines() throws {
    let lines = ProfileTable(Self.rows).description.split(separator: "\n").map(String.init)
    for (line, expected) in zip(lines, try Goldens.read().table) { #expect(line == expected) }
    #expect(lines.count == 5)
    #expect(ProfileTable().description == ProfileTable.header)
  }

  @Test func timesAreMedians() {
    let row = ProfileRow(forward: Timings([0.001, 0.002, 0.9]), input: [1], output: [1])
    #expect(row.description.contains("             2           nan"))
  }
}
