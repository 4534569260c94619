import ModelCore
import ModelRuntime
import Testing

@Suite struct DeviceRequestTests {
  @Test(arguments: ["", "  ", "none", "None"])
  func nothingInParticular(_ text: String) throws { #expect(try DeviceRequest(text) == .automatic) }

  @Test(arguments: ["cpu", "CPU", " cpu "])
  func cpu(_ text: String) throws { #expect(try DeviceRequest(text) == .cpu) }

  @Test(arguments: [
    ("0", ["0"]), ("cuda", ["0"]), ("cuda:0", ["0"]), ("CUDA:1", ["1"]), ("0,1,2,3", ["0", "1", "2", "3"]),
    ("cuda:0,1", ["0", "1"]), ("cuda:1,cuda:0", ["1", "0"]), (" 0 , 12 ", ["0", "12"]), ("007", ["7"]),
    ("GPU-1a2B", ["GPU-1a2B"]), ("gpu-1a,MIG-2", ["GPU-1a", "MIG-2"]),
  ])
  func devices(_ text: String, _ names: [String]) throws { #expect(try DeviceRequest(text) == .cuda(names)) }

  @Test(arguments: [
    "mps", "-1", "0,", ",", ",0", "0,,1", "gpu", "0 1", "1.5", "0x1", "99999999999", "2147483648", "cuda:",
    "cuda:cuda:0",
    "cpu,0", "none,0", "cuda,1", "GPU-", "GPU-a b", "٣", "0;rm", "0\u{0}1",
  ])
  func whatIsNone(_ text: String) {
    let error = #expect(throws: ModelError.self) { try DeviceRequest(text) }
    #expect(error?.reason == "device '\(text)' is none that is known here")
    #expect(error?.advice == "use cpu, 0, or a list such as 0,1,2,3")
  }

  @Test(arguments: ["0,0", "1,cuda:1", "0,1,00", "GPU-a,gpu-a"])
  func namedTwice(_ text: String) {
    let error = #expect(throws: ModelError.self) { try DeviceRequest(text) }
    #expect(error?.reason.contains("twice") == true)
  }
}
