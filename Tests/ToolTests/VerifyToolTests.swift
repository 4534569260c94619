import Foundation
import Testing

/// `--verify`, `diff --outputs`, `profile` and `.npy`; what they compute is judged by PyTorch in the interop suite.
@Suite struct VerifyToolTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  @Test func fuse() throws {
    let out = folder.appendingPathComponent("out.pt").path
    let model = Tool.fixture("yolov5_tiny.pt")
    let result = try Tool.run("fuse", model, "--verify", "--image-size", "64", "-o", out)
    #expect(result.status == 0 && result.output.contains("\nVerified: the same within 0.0001: at most "))
    let json = try Tool.run("diff", model, out, "--outputs", "--image-size", "64", "--json").json
    #expect(json["equal"] as? Bool == true && json["holds"] as? Bool == true && json["maxAbs"] is Double)
  }

  @Test func beyondTheToleranceNothingIsSaved() throws {
    let out = folder.appendingPathComponent("out.pt")
    let arguments = [
      "prune", Tool.fixture("yolov5_tiny.pt"), "--verify", "--tolerance", "0", "--image-size", "64", "-o", out.path,
    ]
    let result = try Tool.run(arguments)
    #expect(result.status == 1 && result.output.hasPrefix("Not verified, nothing is saved: not the same within 0: "))
    #expect(result.error.isEmpty && !FileManager.default.fileExists(atPath: out.path))
    let verified = try Tool.run(arguments + ["--json"]).json["verified"] as? [String: Any]
    #expect(verified?["holds"] as? Bool == false && verified?["tolerance"] as? Double == 0)
  }

  @Test func profile() throws {
    let result = try Tool.run(
      "profile", Tool.fixture("yolov5_tiny.pt"), "--image-size", "64", "--runs", "2", "--threads", "1", "2")
    let lines = result.output.split(separator: "\n")
    #expect(result.status == 0 && lines.count == 3)
    #expect(lines[0].hasPrefix("      Params      GFLOPs  GPU_mem (GB)  forward (ms) backward (ms)"))
    #expect(lines[1].hasSuffix("yolov5_tiny.pt, 1 thread") && lines[2].hasSuffix("yolov5_tiny.pt, 2 threads"))
    let one = try Tool.run("profile", Tool.fixture("yolov5_tiny.pt"), "--image-size", "64", "--runs", "1", "--modules")
    #expect(one.output.contains("operation (implementation)") && one.output.contains("  model.0.conv"))
  }

  @Test func arrays() throws {
    let out = folder.appendingPathComponent("y.npy").path
    #expect(try Tool.run("run", "resnet18", "--image-size", "32", "-o", out).status == 0)
    let again = try Tool.run("run", "resnet18", "--input", out)
    #expect(again.status == 1 && again.error.contains("resnet18") && again.output.isEmpty)
    let second = try Tool.run("run", "resnet18", "--image-size", "32", "-o", out)
    #expect(second.status == 1 && second.error.contains("exists already"))
  }

  @Test(arguments: [
    ["fuse", "resnet18", "--tolerance", "1"], ["strip", "x.pt", "--image-size", "32"],
    ["convert", "x.pt", "-o", "y.pt", "--verify", "--tolerance", "-1"], ["diff", "a.pt", "b.pt", "--shape", "1x3"],
    ["profile", "resnet18", "--runs", "0"], ["profile", "resnet18", "--shape", "1x3", "--image-size", "32"],
    ["run", "resnet18", "--dtype", "float16"], ["run", "resnet18", "--input", "a.npy", "--shape", "1x3"],
  ])
  func wrongUsage(_ arguments: [String]) throws { #expect(try Tool.run(arguments).status == 64) }
}
