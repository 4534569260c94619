import Foundation
import Testing

/// `mutils convert` to .onnx; what is written is judged by ONNX Runtime in the interop suite.
@Suite struct ExportToolTests {
  @Test func aDetector() throws {
    let folder = try Folder()
    let path = folder.url("best.onnx").path
    let model = Tool.fixture("yolov5_tiny.pt")
    let result = try Tool.run("convert", model, "-o", path, "--image-size", "64")
    #expect(result.status == 0 && result.error.isEmpty)
    #expect(result.output.hasPrefix("Saved \(path): ") && result.output.hasSuffix("opset 17\n"))
    let json = try Tool.run(
      "convert", model, "-o", path, "--force", "--image-size", "64", "--opset", "12", "--raw-head", "--json"
    ).json
    #expect(json["inputs"] as? [String] == ["images"])
    #expect(json["outputs"] as? [String] == ["output0"])
    #expect(json["opset"] as? Int == 12)
  }

  @Test func sizesThatDoNotGo() throws {
    let folder = try Folder()
    let result = try Tool.run(
      "convert", "yolov5n", "-o", folder.url("best.onnx").path, "--image-size", "40x64")
    #expect(result.status == 1 && result.error.hasSuffix("sides are best multiples of 32\n"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url("").path).isEmpty)
  }

  @Test(arguments: [
    ["convert", "resnet18", "-o", "x.onnx", "--opset", "11"],
    ["convert", "resnet18", "-o", "x.onnx", "--verify", "--raw-head"],
    ["convert", "resnet18", "-o", "x.onnx", "--tolerance", "1"],
    ["convert", "resnet18", "-o", "x.onnx", "--dtype", "bfloat16"], ["convert", "resnet18", "-o", "x.pt", "--dynamic"],
    ["convert", "resnet18", "-o", "x.pt", "--image-size", "64"],
  ])
  func wrongUsage(_ arguments: [String]) throws {
    #expect(try Tool.run(arguments).status == 64)
  }
}
