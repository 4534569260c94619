import Foundation
import Testing

/// `mutils detect` and `mutils classify`; what they find is judged by the originals in the interop suite.
@Suite struct DetectToolTests {
  private var sample: String {
    Tool.fixtures.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Resources/sample.jpg")
      .path
  }

  @Test func recordsOfAPicture() throws {
    let folder = try Folder()
    let result = try Tool.run(
      "detect", Tool.fixture("yolov5_tiny.pt"), sample, "--image-size", "64", "--confidence", "0", "--max-detections",
      "5",
      "-o", folder.path("out"), "--txt", "--csv", folder.path("a.csv"), "--coco", folder.path("a.json"), "--json")
    #expect(result.status == 0 && result.error.isEmpty)
    let images = try #require(result.json["images"] as? [[String: Any]])
    let found = try #require(images.first?["detections"] as? [[String: Any]])
    #expect(images.count == 1 && found.count == 5 && images[0]["file"] as? String == sample)
    #expect(found.allSatisfy { ($0["box"] as? [Double])?.count == 4 && $0["name"] is String && $0["score"] is Double })
    #expect(try folder.names == ["a.csv", "a.json", "out"])
    #expect(FileManager.default.fileExists(atPath: folder.path("out/sample.jpg")))
    #expect(
      try String(contentsOfFile: folder.path("out/labels/sample.txt"), encoding: .utf8).split(separator: "\n").count
        == 5)
    #expect(try String(contentsOfFile: folder.path("a.csv"), encoding: .utf8).split(separator: "\n").count == 6)
    let again = try Tool.run("detect", Tool.fixture("yolov5_tiny.pt"), sample, "-o", folder.path("out"))
    #expect(again.status == 1 && again.error.contains("--force"))
  }

  @Test func aModelThatFindsNothing() throws {
    let result = try Tool.run("detect", "resnet18", sample)
    #expect(result.status == 1 && result.output.isEmpty && result.error.contains("no detection head that is known"))
  }

  @Test func classes() throws {
    let result = try Tool.run("classify", "resnet18", sample, "--top", "2", "--image-size", "64")
    #expect(result.status == 0 && result.output.hasPrefix("image 1/1 \(sample): class "))
    let json = try Tool.run("classify", "resnet18", sample, "--image-size", "64", "--json").json
    let images = try #require(json["images"] as? [[String: Any]])
    #expect((images.first?["classes"] as? [[String: Any]])?.count == 5)
  }

  @Test func unreadablePictures() throws {
    let folder = try Folder()
    try Data("no picture".utf8).write(to: folder.url("bad.png"))
    for command in ["detect", "classify"] {
      let model = command == "detect" ? Tool.fixture("yolov5_tiny.pt") : "resnet18"
      let result = try Tool.run(command, model, folder.path("bad.png"), sample, "--image-size", "64")
      #expect(result.status == 1 && result.output.hasPrefix("image 2/2"))
      #expect(result.error.split(separator: "\n").count == 1 && result.error.contains("bad.png"))
    }
  }

  @Test(arguments: [
    ["detect", "a.pt"], ["detect", "a.pt", "a.png", "--confidence", "2"], ["detect", "a.pt", "a.png", "--iou", "-1"],
    ["detect", "a.pt", "a.png", "--txt"], ["classify", "a.pt", "a.png", "--top", "0"],
  ])
  func wrongUsage(_ arguments: [String]) throws {
    #expect(try Tool.run(arguments).status == 64)
  }
}
