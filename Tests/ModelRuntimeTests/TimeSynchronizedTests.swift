import ModelRuntime
import Testing

@Suite struct TimeSynchronizedTests {
  @Test func isMonotonic() throws {
    var last = try timeSynchronized()
    for _ in 0..<1000 {
      let now = try timeSynchronized()
      #expect(now >= last)
      last = now
    }
  }

  @Test func countsSeconds() async throws {
    let clock = ContinuousClock()
    let (start, began) = (clock.now, try timeSynchronized())
    try await Task.sleep(for: .milliseconds(60))
    let (seconds, duration) = (try timeSynchronized() - began, clock.now - start)
    let expected = Double(duration.components.attoseconds) * 1e-18 + Double(duration.components.seconds)
    #expect(seconds >= 0.06 && abs(seconds - expected) < 0.05)
  }

  @Test func waitsForTheContext() throws {
    let stub = try StubDriver()
    let waits = try stub.pointer("stub_synchronizations", to: Int32.self)
    _ = try timeSynchronized(library: stub.library)
    #expect(waits.pointee == 0, "the driver is not initialised")
    _ = try stub.select("")
    _ = try timeSynchronized(library: stub.library)
    #expect(waits.pointee == 0, "there is no context")
    try stub.pointer("stub_context", to: UnsafeMutableRawPointer?.self).pointee = UnsafeMutableRawPointer(bitPattern: 8)
    _ = try timeSynchronized(library: stub.library)
    _ = try timeSynchronized(library: stub.library)
    #expect(waits.pointee == 2)
    try stub.pointer("stub_synchronization_status", to: Int32.self).pointee = 999
    #expect(
      refusal { _ = try timeSynchronized(library: stub.library) }
        == "the CUDA driver fails: CUDA_ERROR_UNKNOWN (999): unknown error")
    try stub.pointer("stub_synchronization_status", to: Int32.self).pointee = 700
    #expect(refusal { _ = try timeSynchronized(library: stub.library) } == "the CUDA driver fails: error 700")
  }
}
