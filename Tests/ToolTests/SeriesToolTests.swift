import Foundation
import Testing

/// Several models in one call: each is done, what fails keeps no other from being done.
@Suite struct SeriesToolTests {
  private func models() throws -> Folder {
    let folder = try Folder()
    try #require(Tool.run("init", "yolov5n", "-o", "a.pt", "--whole-module", in: folder.url).status == 0)
    try #require(Tool.run("init", "resnet18", "-o", "b.safetensors", in: folder.url).status == 0)
    return folder
  }

  @Test func resultsStandUnderTheNames() throws {
    let folder = try models()
    let result = try Tool.run("sparsity", "a.pt", "b.safetensors", in: folder.url)
    let single = try ["a.pt", "b.safetensors"].map { try Tool.run("sparsity", $0, in: folder.url).output }
    #expect(result.status == 0 && result.output == "a.pt:\n\(single[0])b.safetensors:\n\(single[1])")
  }

  @Test func whatFailsIsToldOf() throws {
    let folder = try models()
    let result = try Tool.run("prune", "a.pt", "no.pt", "b.safetensors", "-o", "out/", in: folder.url)
    #expect(result.status == 1)
    #expect(result.error == "mutils: error: no.pt: cannot be opened: No such file or directory\n")
    #expect(
      result.output
        == "a.pt:\nPruned to 0.301 global sparsity\nSaved out/a.pt\nno.pt:\nb.safetensors:\n"
        + "Pruned to 0.287 global sparsity\nSaved out/b.safetensors\n")
    let again = try Tool.run("prune", "a.pt", "b.safetensors", "-o", "out", in: folder.url)
    #expect(again.status == 1 && again.error.split(separator: "\n").count == 2)
    #expect(again.error.contains("out/a.pt: exists already; give --force to replace it"))
  }

  @Test func jsonIsOneObject() throws {
    let folder = try models()
    let result = try Tool.run("find", "a.pt", "no.pt", "b.safetensors", "--type", "MaxPool2d", "--json", in: folder.url)
    #expect(result.status == 2)
    let models = try #require(try result.json["models"] as? [[String: Any]])
    #expect(models.map { $0["model"] as? String } == ["a.pt", "no.pt", "b.safetensors"])
    #expect((models[0]["modules"] as? [Any])?.count == 1 && (models[2]["modules"] as? [Any])?.count == 1)
    #expect((models[1]["error"] as? [String: Any])?["kind"] as? String == "missing")
  }

  /// Without a folder each result stands beside its input.
  @Test func besideTheInputs() throws {
    let folder = try models()
    let result = try Tool.run("strip", "a.pt", "b.safetensors", in: folder.url)
    #expect(result.status == 0)
    #expect(try folder.names == ["a-stripped.pt", "a.pt", "b-stripped.safetensors", "b.safetensors"])
  }

  @Test func formatsOfAFolder() throws {
    let folder = try models()
    let result = try Tool.run(
      "convert", "a.pt", "b.safetensors", "yolov5n", "-o", "t/", "--format", "safetensors", in: folder.url)
    #expect(result.status == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("t")).sorted()
    #expect(names == ["a.safetensors", "b.safetensors", "yolov5n.safetensors"])
    #expect(try Tool.run("diff", "a.pt", "t/a.safetensors", in: folder.url).status == 0)
    let other = try Tool.run("convert", "a.pt", "-o", "x.pt", "--format", "onnx", in: folder.url)
    #expect(other.status == 1 && other.error.contains("x.pt: is the name of another format than --format onnx"))
  }

  @Test(arguments: ["fuse", "prune", "strip", "convert"]) func oneFileForMany(_ command: String) throws {
    let folder = try models()
    let one = try Tool.run(command, "a.pt", "b.safetensors", "-o", "c.pt", in: folder.url)
    #expect(one.status == 64 && one.error.contains("several models are written into a folder: -o FOLDER/"))
    try FileManager.default.createDirectory(atPath: folder.path("d"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: folder.path("a.pt"), toPath: folder.path("d/a.pt"))
    let same = try Tool.run(command, "a.pt", "d/a.pt", "-o", "out/", in: folder.url)
    #expect(same.status == 64 && same.error.contains("out/a.pt would be written for a.pt and for d/a.pt"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("out")))
  }

  @Test func foldersAreChecked() throws {
    let folder = try models()
    for (name, text) in [("read.me", "words"), ("empty", ""), ("one", "x"), ("config.json", "{}")] {
      try text.write(toFile: folder.path(name), atomically: true, encoding: .utf8)
    }
    let result = try Tool.run("check", folder.url.path)
    #expect(result.status == 0 && result.output.contains("a.pt:\n") && result.output.contains("b.safetensors:\n"))
    #expect(result.error.contains("4 files of other kinds in the folders were not looked at"))
    let strict = try Tool.run("check", folder.url.path, "--fail-on", "suspicious", "--json")
    #expect(strict.status == 1)
    #expect((try strict.json["models"] as? [Any])?.count == 2)
    let empty = try Folder()
    #expect(try Tool.run("check", empty.url.path).status == 2)
  }

  @Test(arguments: [
    ["fuse"], ["prune"], ["strip"], ["convert", "--dtype", "float16"], ["init"],
    ["edit", "--drop", "model.24.*", "--state-dict"],
    ["ema"],
  ])
  func aDryRunWritesNothing(_ words: [String]) throws {
    let folder = try models()
    let result = try Tool.run(words + ["a.pt", "-o", "new.pt", "--dry-run"], in: folder.url)
    #expect(result.status == 0 && result.output.contains("Would save new.pt"), "\(result.error)")
    #expect(try folder.names == ["a.pt", "b.safetensors"])
    let json = try Tool.run(words + ["a.pt", "-o", "new/", "--dry-run", "--json"], in: folder.url)
    if words[0] != "ema" {
      #expect(try json.json["dryRun"] as? Bool == true && json.json["output"] as? String == "new/a.pt")
    }
    #expect(try folder.names == ["a.pt", "b.safetensors"])
    // What would be refused is refused.
    let taken = try Tool.run(words + ["a.pt", "-o", "b.safetensors", "--dry-run"], in: folder.url)
    #expect(taken.status == 1 && taken.error.contains("b.safetensors: exists already"))
  }

  @Test func aDryRunSeesWhereNothingCanBeWritten() throws {
    let folder = try models()
    let result = try Tool.run("fuse", "a.pt", "--dry-run", "-o", "no/x.pt", in: folder.url)
    #expect(result.status == 1)
    #expect(result.error == "mutils: error: no/x.pt: cannot be written: No such file or directory\n")
  }

  @Test func aBrokenModelAmongSeveral() throws {
    let folder = try models()
    let result = try Tool.run("info", "a.pt", "no.pt", "b.safetensors", in: folder.url)
    #expect(result.status == 1 && result.output.split(separator: "\n").count == 3)
    #expect(result.error == "mutils: error: no.pt: cannot be opened: No such file or directory\n")
    let json = try Tool.run("info", "a.pt", "no.pt", "--json", in: folder.url)
    let models = try #require(try json.json["models"] as? [[String: Any]])
    #expect(models.count == 2 && models[1]["error"] != nil && models[1]["model"] as? String == "no.pt")
  }

  @Test func numbersBelowZero() throws {
    let result = try Tool.run("prune", "--amount", "-1")
    #expect(result.status == 64)
    #expect(result.error.contains("A number below zero is given as --amount=-1"))
    let second = try Tool.run("prune", "--amount", "0.5", "--amount", "-2")
    #expect(second.error.contains("A number below zero is given as --amount=-2"))
  }

  @Test func severalPicturesNeedAFolder() throws {
    let folder = try Folder()
    try #require(Tool.run("scale", "-o", "p/", in: folder.url).status == 0)
    let one = try Tool.run("scale", "p", "-o", "s.png", in: folder.url)
    #expect(one.status == 64 && one.error.contains("several pictures are written into a folder: -o FOLDER/"))
    let many = try Tool.run("scale", "p", "-o", "out/", in: folder.url)
    #expect(many.status == 0 && many.output.hasSuffix("\nSaved out/\n"))
  }

  @Test func wordsInCapitals() throws {
    #expect(try Tool.run("info", "YOLOv5N").output == Tool.run("info", "yolov5n").output)
    #expect(
      try Tool.run("prune", "yolov5n", "--method", "GLOBAL").output == Tool.run("prune", "--method", "global").output)
  }
}
