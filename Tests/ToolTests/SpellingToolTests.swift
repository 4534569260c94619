import Foundation
import Testing

/// What people type who know the originals, or mistype; and what a status says.
@Suite struct SpellingToolTests {
  @Test(arguments: [("modles", "models"), ("Info", "info"), ("fues", "fuse"), ("prun", "prune")])
  func subcommands(word: String, meant: String) throws {
    let result = try Tool.run(word)
    #expect(result.status == 64 && result.error.contains("there is no subcommand '\(word)'; the nearest are \(meant)"))
  }

  @Test func optionsOfTheOriginals() throws {
    let usual = try Tool.run("info", "yolov5n", "--image-size", "320")
    #expect(try Tool.run("info", "yolov5n", "--imgsz", "320").output == usual.output)
    #expect(try Tool.run("info", "yolov5n", "--img=320").output == usual.output)
    let folder = try Folder()
    for (name, options) in [("a", ["--half"]), ("b", ["--dtype", "fp16"]), ("c", ["--dtype", "FP16"])] {
      try #require(Tool.run(["convert", "yolov5n", "-o", folder.path("\(name).safetensors")] + options).status == 0)
      #expect(
        try Data(contentsOf: folder.url("a.safetensors")).count
          == Data(contentsOf: folder.url("\(name).safetensors")).count)
    }
    #expect(try Tool.run("zero-first", "--", "echo", "--imgsz").output == "--imgsz\n")
  }

  /// A forgotten MODEL must not become a file of random weights.
  @Test(arguments: ["fuse", "prune"]) func anOutputNeedsAModel(subcommand: String) throws {
    let folder = try Folder()
    let result = try Tool.run(subcommand, "-o", folder.path("x.pt"))
    #expect(result.status == 64 && result.error.contains("give the MODEL"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("x.pt")))
    let demo = try Tool.run(subcommand)
    #expect(demo.status == 0 && demo.output.hasSuffix("Nothing is saved: give -o FILE\n"))
  }

  @Test func whereOneIsAnAnswerTwoIsTrouble() throws {
    let missing = "/nowhere/model.pt"
    #expect(try Tool.run("diff", "yolov5n", missing).status == 2)
    #expect(try Tool.run("diff", "yolov5n", "yolov5s").status == 1)
    #expect(try Tool.run("check", missing).status == 2)
    #expect(try Tool.run("check", "yolov5n").status == 0)
    #expect(try Tool.run("check", "yolov5n", "--fail-on", "info").status == 1)
    #expect(try Tool.run("find", missing, "--type", "Conv2d").status == 2)
    #expect(try Tool.run("find", "yolov5n", "--type", "Foo").status == 1)
    #expect(try Tool.run("fuse", missing, "--verify").status == 2)
    #expect(try Tool.run("fuse", missing).status == 1)
    #expect(try Tool.run("info", missing).status == 1)
  }
}
