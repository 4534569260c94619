import Foundation
import Testing

/// `devices` and `env`, on this machine, and with the drivers of Tests/Fixtures/drivers in the loader's path.
@Suite struct DevicesToolTests {
  /// A folder with both drivers, or the first alone.
  private func drivers(management: Bool = true) throws -> Folder {
    let folder = try Folder()
    var sources = [("cuda.c", "libcuda.so.1")]
    if management { sources.append(("nvml.c", "libnvidia-ml.so.1")) }
    for (source, library) in sources {
      let compiler = Process()
      compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      compiler.arguments = ["cc", "-shared", "-fPIC", "-o", folder.path(library), Tool.fixture("drivers/\(source)")]
      try compiler.run()
      compiler.waitUntilExit()
      try #require(compiler.terminationStatus == 0)
    }
    return folder
  }

  private func run(_ arguments: [String], _ folder: Folder, _ variables: [String: String?] = [:]) throws -> Tool.Result
  {
    let standard: [String: String?] = ["LD_LIBRARY_PATH": folder.url.path, "CUDA_VISIBLE_DEVICES": nil]
    return try Tool.run(arguments, environment: standard.merging(variables) { $1 })
  }

  @Test func cpu() throws {
    let result = try Tool.run("devices", "--device", "cpu")
    #expect(result.output == "ModelUtils 0.1.0 CPU\n" && result.error.isEmpty && result.status == 0)
    let json = try Tool.run("devices", "--device", "cpu", "--batch-size", "3", "--json").json
    #expect(json["device"] as? String == "cpu" && (json["devices"] as? [Any])?.isEmpty == true)
    #expect(json["batchSize"] as? Int == 3 && json["line"] as? String == "ModelUtils 0.1.0 CPU")
  }

  @Test func twoDevices() throws {
    let folder = try drivers()
    let result = try run(["devices", "--device", "1,0", "--batch-size", "4"], folder)
    #expect(
      result.output == """
        ModelUtils 0.1.0 CUDA:1 (Stub GPU 1, 16282MB)
                         CUDA:0 (Stub GPU 0, 16280MB)

        """)
    let json = try run(["devices", "--device", "1,0", "--json"], folder).json
    let devices = try #require(json["devices"] as? [[String: Any]])
    #expect(json["device"] as? String == "cuda:0" && json["driverVersion"] as? String == "550.54.15")
    #expect(devices.map { $0["name"] as? String } == ["Stub GPU 1", "Stub GPU 0"])
    #expect(devices.map { $0["freeMemory"] as? Int } == [2 << 30, 1 << 30])
    #expect(devices.map { $0["totalMemory"] as? Int } == [17_072_390_144, 17_071_341_568])
    #expect(devices.map { $0["index"] as? String } == ["1", "0"])
  }

  @Test func environment() throws {
    let folder = try drivers()
    #expect(try run(["devices"], folder).output == "ModelUtils 0.1.0 CUDA:0 (Stub GPU 0, 16280MB)\n")
    let visible = try run(["devices"], folder, ["CUDA_VISIBLE_DEVICES": "1"])
    #expect(visible.output == "ModelUtils 0.1.0 CUDA:0 (Stub GPU 1, 16282MB)\n")
    let replaced = try run(["devices", "--device", "0"], folder, ["CUDA_VISIBLE_DEVICES": "1"])
    #expect(replaced.output == "ModelUtils 0.1.0 CUDA:0 (Stub GPU 0, 16280MB)\n")
    let hidden = try run(["devices"], folder, ["CUDA_VISIBLE_DEVICES": "-1"])
    #expect(hidden.output == "ModelUtils 0.1.0 CPU\n")
    #expect(hidden.error == "mutils: note: using the CPU: the CUDA driver sees no device\n")
    #expect(try run(["devices", "--quiet"], folder, ["CUDA_VISIBLE_DEVICES": ""]).error.isEmpty)
  }

  @Test func failures() throws {
    let folder = try drivers()
    for (arguments, variables, message) in [
      (
        ["--device", "7"], [:], "device '7' is not there: the CUDA driver sees none; use cpu, or a device that is there"
      ),
      (
        ["--device", "0"], ["STUB_DEVICES": "0"],
        "device '0' is not there: the CUDA driver sees none; use cpu, or a device that is there"
      ),
      (
        ["--device", "0"], ["STUB_STATUS": "999"],
        "device '0' is not there: the CUDA driver fails: CUDA_ERROR_UNKNOWN (999): unknown error; "
          + "use cpu, or a device that is there"
      ),
      (["--device", "0,1", "--batch-size", "3"], [:], "batch size 3 is not a multiple of the 2 devices"),
      (["--device", "x"], [:], "device 'x' is none that is known here; use cpu, 0, or a list such as 0,1,2,3"),
    ] as [([String], [String: String], String)] {
      let result = try run(["devices"] + arguments, folder, variables.mapValues { $0 })
      #expect(result.status == 1 && result.output.isEmpty && result.error == "mutils: error: \(message)\n")
    }
    let broken = try run(["devices"], folder, ["STUB_STATUS": "999"])
    #expect(broken.status == 0 && broken.output == "ModelUtils 0.1.0 CPU\n")
    #expect(
      broken.error == "mutils: note: using the CPU: the CUDA driver fails: CUDA_ERROR_UNKNOWN (999): unknown error\n")
    let unmanaged = try run(["devices", "--json"], folder, ["STUB_NVML_STATUS": "9"]).json
    let device = try #require((unmanaged["devices"] as? [[String: Any]])?.first)
    #expect(device["freeMemory"] == nil && unmanaged["driverVersion"] == nil)
    #expect(try run(["devices", "--json"], drivers(management: false)).json["cudaVersion"] as? String == "12.4")
  }

  @Test(arguments: [["--batch-size", "x"], ["--batch-size", "99999999999999999999"], ["more"], ["--device"]])
  func wrongUsage(_ arguments: [String]) throws {
    let result = try Tool.run(["devices"] + arguments)
    #expect(result.status == 64 && result.output.isEmpty)
  }

  @Test func env() throws {
    let folder = try drivers()
    let json = try run(["env", "--json", "--threads", "5"], folder).json
    for key in ["version", "swift", "build", "system", "kernel", "processor", "simd", "cores", "memory", "date", "git"]
    {
      #expect(json[key] != nil, "\(key)")
    }
    #expect(json["version"] as? String == "0.1.0" && json["threads"] as? Int == 5)
    let libraries = try #require(json["libraries"] as? [[String: String]])
    #expect(libraries.map { $0["name"] } == ["libpng", "libjpeg", "zlib"])
    let devices = try #require(json["devices"] as? [String: Any])
    #expect((devices["devices"] as? [[String: Any]])?.first?["name"] as? String == "Stub GPU 0")
    let text = try run(["env"], folder).output
    #expect(text.hasPrefix("ModelUtils  0.1.0 ") && text.contains("\ndevice      CUDA:0 (Stub GPU 0, 16280MB)\n"))
    #expect(text.contains("\ndriver      550.54.15, CUDA 12.4\n") && text.contains("\nzlib        "))
    #expect(try run(["env"], folder, ["STUB_STATUS": "999"]).output.contains("device      CPU: the CUDA driver fails"))
  }

  #if os(Linux)
    /// What taskset or a container withholds is not computed on.
    @Test func asManyThreadsAsProcessorsMayBeUsed() throws {
      let first = "$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')"
      let result = try Tool.shell("taskset -c \(first) $M env --json", in: Folder())
      #expect(try result.json["threads"] as? Int == 1)
    }
  #endif

  @Test func verbose() throws {
    let folder = try drivers()
    let result = try run(["devices", "--verbose"], folder)
    #expect(result.output == "ModelUtils 0.1.0 CUDA:0 (Stub GPU 0, 16280MB)\n")
    #expect(
      result.error.contains("the CUDA driver (CUDA 12.4) sees 2 devices") && result.error.contains("selected cuda:0"))
    let info = try Tool.run("info", Tool.fixture("training_checkpoint.pt"), "--verbose")
    #expect(info.error.contains("format torch, models 'ema', 'model'"))
  }
}
