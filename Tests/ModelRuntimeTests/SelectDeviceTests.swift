import ModelCore
import ModelRuntime
import TestSupport
import Testing

@Suite struct SelectDeviceTests {
  @Test func cpu() throws {
    let stub = try StubDriver(visible: "1")
    let selection = try stub.select("cpu")
    #expect(selection.devices.isEmpty && selection.name == "cpu" && selection.reason == nil)
    #expect(selection.description == "ModelUtils \(modelUtilsVersion) CPU")
    #expect(stub.cudaVisibleDevices == "-1")
    #expect(try stub.pointer("stub_initializations", to: Int32.self).pointee == 0)
    // As with the original, nothing is seen after that.
    #expect(try stub.select("").name == "cpu")
  }

  @Test func firstAloneByDefault() throws {
    let stub = try StubDriver()
    let selection = try stub.select("", batchSize: 3)
    #expect(selection.name == "cuda:0" && selection.devices.count == 1)
    #expect(selection.description == "ModelUtils \(modelUtilsVersion) CUDA:0 (Stub GPU 0, 16280MB)")
    #expect(stub.cudaVisibleDevices == nil)
    let device = try #require(selection.devices.first)
    #expect(device.index == "0" && device.ordinal == 0 && device.totalMemory == 16280 << 20 + 1 << 19)
    #expect(device.uuid == "10101010-1010-1010-1010-101010101010" && device.pciBusID == "0000:80:00.0")
    #expect(device.computeCapability == "9.0" && device.multiprocessors == 132)
    #expect(selection.driverVersion == "550.54.15" && selection.cudaVersion == "12.4")
  }

  @Test func defaultObeysTheEnvironment() throws {
    let stub = try StubDriver(visible: "1,0")
    let selection = try stub.select("")
    #expect(selection.devices.map(\.name) == ["Stub GPU 1"] && selection.devices.map(\.index) == ["0"])
    #expect(stub.cudaVisibleDevices == "1,0")
  }

  @Test func requestReplacesTheEnvironment() throws {
    let stub = try StubDriver(visible: "1")
    #expect(try stub.select("cuda:0").devices.map(\.name) == ["Stub GPU 0"])
    #expect(stub.cudaVisibleDevices == "0")
  }

  /// NVML counts in the opposite order: the free memory says whether the right device was asked.
  @Test func managementLibraryIsAskedByUUID() throws {
    let stub = try StubDriver()
    let selection = try stub.select("1,0")
    #expect(selection.devices.map(\.name) == ["Stub GPU 1", "Stub GPU 0"])
    #expect(selection.devices.map(\.freeMemory) == [2 << 30, 1 << 30])
    #expect(selection.devices.map(\.ordinal) == [0, 1] && stub.cudaVisibleDevices == "1,0")
    #expect(
      selection.description == """
        ModelUtils \(modelUtilsVersion) CUDA:1 (Stub GPU 1, 16282MB)
                         CUDA:0 (Stub GPU 0, 16280MB)
        """)
  }

  @Test func withoutManagementLibrary() throws {
    let selection = try StubDriver(management: false).select("0")
    #expect(selection.devices.map(\.freeMemory) == [nil] && selection.driverVersion == nil)
    #expect(selection.cudaVersion == "12.4")
  }

  @Test func byUUID() throws {
    let stub = try StubDriver()
    let selection = try stub.select("GPU-1111")
    #expect(selection.devices.map(\.name) == ["Stub GPU 1"] && selection.devices.map(\.index) == ["GPU-1111"])
    #expect(stub.cudaVisibleDevices == "GPU-1111")
  }

  @Test(arguments: [(2, true), (4, true), (0, true), (-1, true), (1, false), (3, false), (Int.max, false)])
  func batchSize(_ size: Int, _ fits: Bool) throws {
    let stub = try StubDriver(visible: "7")
    guard !fits else {
      #expect(try stub.select("0,1", batchSize: size).devices.count == 2)
      return
    }
    #expect(
      refusal { _ = try stub.select("0,1", batchSize: size) } == "batch size \(size) is not a multiple of the 2 devices"
    )
    #expect(stub.cudaVisibleDevices == "7")
    #expect(try StubDriver().select("1", batchSize: size).devices.count == 1)
  }

  @Test(arguments: [
    ("7", "device '7' is not there: the CUDA driver sees none"),
    ("7,0", "device '7,0' is not there: the CUDA driver sees none"),
    ("0,7", "device '7' is not there: the CUDA driver sees 1 of CUDA_VISIBLE_DEVICES=0,7"),
    ("0,1,2", "device '2' is not there: the CUDA driver sees 2 of CUDA_VISIBLE_DEVICES=0,1,2"),
    ("GPU-22", "device 'GPU-22' is not there: the CUDA driver sees none"),
  ])
  func notThere(_ request: String, _ reason: String) throws {
    let stub = try StubDriver(visible: "1")
    #expect(refusal { _ = try stub.select(request) }?.hasPrefix(reason + "; use cpu, or ") == true)
    #expect(stub.cudaVisibleDevices == "1")
  }

  @Test func noDriver() throws {
    let runtime = CUDARuntime(cuda: "libnone.so.1", visible: .init(get: { nil }, set: { _ in }))
    let selection = try runtime.select(.automatic, batchSize: nil)
    #expect(selection.name == "cpu" && selection.reason?.hasPrefix("libnone.so.1: ") == true)
    #expect(
      refusal { _ = try runtime.select(.cuda(["0"]), batchSize: nil) }?.hasPrefix(
        "device '0' is not there: libnone.so.1: ") == true)
  }

  @Test func aLibraryThatIsNoDriver() throws {
    let folder = try Folder()
    try folder.write("int cuInit(unsigned flags) { return (int)flags; }\n", to: "half.c")
    let library = folder.file("half.so")
    try #require(ChildProcess(["cc", "-shared", "-fPIC", "-o", library, folder.file("half.c")]).wait() == 0)
    let selection = try CUDARuntime(cuda: library, visible: .init(get: { nil }, set: { _ in })).select(
      .automatic, batchSize: nil)
    #expect(selection.reason == "\(library) has no function cuDriverGetVersion")
  }

  /// The driver reads the variable once: what comes later is served from what it sees, or refused.
  @Test func laterRequests() throws {
    let stub = try StubDriver()
    #expect(try stub.select("1,0").devices.map(\.name) == ["Stub GPU 1", "Stub GPU 0"])
    #expect(try stub.select("0").devices.map(\.ordinal) == [1])
    #expect(try stub.select("0").name == "cuda:1")
    #expect(try stub.select("0,1").devices.map(\.name) == ["Stub GPU 0", "Stub GPU 1"])
    #expect(try stub.select("").devices.map(\.name) == ["Stub GPU 1"])
    #expect(
      refusal { _ = try stub.select("2") }
        == "device '2' is not there: the CUDA driver sees 2 of CUDA_VISIBLE_DEVICES=1,0; use cpu, or devices that are there"
    )
    #expect(try stub.pointer("stub_initializations", to: Int32.self).pointee == 1)
  }

  @Test func afterAll() throws {
    let stub = try StubDriver()
    #expect(try stub.select("").devices.count == 1)
    #expect(try stub.select("1").devices.map(\.ordinal) == [1])
    #expect(refusal { _ = try stub.select("2") }?.hasPrefix("device '2' is not there: the CUDA driver sees 2;") == true)
  }

  @Test func initialisedByOthers() throws {
    let stub = try StubDriver(visible: "1")
    let other = CUDARuntime(cuda: stub.library, visible: .init(get: { nil }, set: { _ in }))
    #expect(try other.select(.automatic, batchSize: nil).devices.count == 1)
    #expect(try stub.select("1").devices.map(\.name) == ["Stub GPU 1"])
    #expect(refusal { _ = try stub.select("0") }?.contains("the CUDA driver sees 1 of CUDA_VISIBLE_DEVICES=1") == true)
    #expect(try stub.pointer("stub_initializations", to: Int32.self).pointee == 1)
  }
}
