import ModelRuntime
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

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
    let clock = SynchronizedClock(library: stub.library)
    let waits = try stub.pointer("stub_synchronizations", to: Int32.self)
    _ = try clock.seconds()
    #expect(waits.pointee == 0, "the driver is not initialised")
    _ = try stub.select("")
    _ = try clock.seconds()
    #expect(waits.pointee == 0, "there is no context")
    try stub.pointer("stub_context", to: UnsafeMutableRawPointer?.self).pointee = UnsafeMutableRawPointer(bitPattern: 8)
    _ = try clock.seconds()
    _ = try clock.seconds()
    #expect(waits.pointee == 2)
    try stub.pointer("stub_synchronization_status", to: Int32.self).pointee = 999
    #expect(refusal { _ = try clock.seconds() } == "the CUDA driver fails: CUDA_ERROR_UNKNOWN (999): unknown error")
    try stub.pointer("stub_synchronization_status", to: Int32.self).pointee = 700
    #expect(refusal { _ = try clock.seconds() } == "the CUDA driver fails: error 700")
  }

  /// A driver that is loaded after the first reading is waited for too, and none is loaded by reading.
  @Test func noticesADriver() throws {
    let stub = try StubDriver()
    let copy = stub.library + ".2"
    try #require(ChildProcess(["cp", stub.library, copy]).wait() == 0)
    let clock = SynchronizedClock(library: copy)
    for _ in 0..<3 { _ = try clock.seconds() }
    #expect(dlopen(copy, RTLD_NOW | RTLD_NOLOAD) == nil)
    let handle = try #require(dlopen(copy, RTLD_NOW))
    typealias Initialize = @convention(c) (UInt32) -> Int32
    let initialize = unsafeBitCast(try #require(dlsym(handle, "cuInit")), to: Initialize.self)
    #expect(initialize(0) == 0)
    let context = try #require(dlsym(handle, "stub_context")).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    context.pointee = UnsafeMutableRawPointer(bitPattern: 8)
    _ = try clock.seconds()
    #expect(try #require(dlsym(handle, "stub_synchronizations")).assumingMemoryBound(to: Int32.self).pointee == 1)
  }
}
