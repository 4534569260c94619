import FuzzTargets

#if Fuzzing
  @_silgen_name("LLVMFuzzerRunDriver")
  private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ take: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
  ) -> Int32

  // The package manager gives main this name.
  @_cdecl("fuzz_main") public func fuzzMain(
    _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
  ) -> Int32 {
    var (count, arguments) = (count, arguments)
    return runDriver(&count, &arguments) { bytes, count in
      target.refusal(of: Array(UnsafeBufferPointer(start: bytes, count: count)), in: folder)
      return 0
    }
  }
#endif
