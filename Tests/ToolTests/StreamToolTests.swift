import Foundation
import Testing

/// Models through pipes: `-` is standard input, and standard output.
@Suite struct StreamToolTests {
  private func models() throws -> Folder {
    let folder = try Folder()
    try #require(Tool.run("init", "yolov5n", "-o", "a.pt", "--whole-module", in: folder.url).status == 0)
    return folder
  }

  /// A chain over pipes gives what it gives over files.
  @Test(arguments: ["pt", "safetensors", "onnx"]) func chains(format: String) throws {
    let folder = try models()
    let file = "m.\(format)"
    let sized = format == "onnx" ? ["--image-size", "64", "--verify"] : []
    let converted = try Tool.run(["convert", "a.pt", "-o", file] + sized, in: folder.url)
    try #require(converted.status == 0, "\(converted.error)")
    let result = try Tool.shell(
      "cat \(file) | $M prune - --amount 0.5 -o - 2>said | $M convert - -o - --format \(format) 2>>said > piped; cat said",
      in: folder)
    #expect(result.status == 0)
    #expect(result.output.contains(" global sparsity\nWritten to standard output\n"))
    try #require(Tool.run("prune", file, "--amount", "0.5", "-o", "filed.\(format)", in: folder.url).status == 0)
    let diff = try Tool.shell("$M diff - filed.\(format) < piped", in: folder)
    #expect(diff.status == 0, "\(diff.output)\(diff.error)")
  }

  @Test func whatReadsReadsPipes() throws {
    let folder = try models()
    for command in ["info", "sparsity", "check", "find --type Conv2d", "run --image-size 64"] {
      let words = command.split(separator: " ", maxSplits: 1)
      let options = words.count > 1 ? words[1] : ""
      let piped = try Tool.shell("cat a.pt | $M \(words[0]) - \(options)", in: folder)
      let filed = try Tool.shell("$M \(words[0]) a.pt \(options)", in: folder)
      #expect(piped.status == 0 && piped.output == filed.output, "\(command): \(piped.error)")
    }
    let shown = try Tool.shell("$M show - model.0.conv.weight < a.pt", in: folder)
    let filed = try Tool.run("show", "a.pt", "model.0.conv.weight", in: folder.url)
    #expect(shown.status == 0 && shown.output == filed.output)
  }

  @Test func whatComesIsNoModel() throws {
    let folder = try models()
    let empty = try Tool.shell("$M info - < /dev/null", in: folder)
    #expect(empty.status == 1 && empty.error == "mutils: error: standard input: is empty\n")
    let text = try Tool.shell("echo words | $M info -", in: folder)
    #expect(text.status == 1 && text.error.hasPrefix("mutils: error: standard input: "))
    let closed = try Tool.shell("$M info - <&-", in: folder)
    #expect(closed.status == 1 && closed.error.hasPrefix("mutils: error: standard input: "))
    let nowhere = try Tool.shell("cat a.pt | TMPDIR=/nowhere $M info -", in: folder)
    #expect(nowhere.status == 1 && nowhere.error.contains("let TMPDIR name another folder"))
    #expect(try folder.names == ["a.pt"])
  }

  /// What is cut short ends with an error, or with the signal of a pipe that nobody reads.
  @Test func whatIsWrittenIsNotRead() throws {
    let folder = try models()
    let full = try Tool.shell("$M prune a.pt -o - > /dev/full", in: folder)
    #expect(full.status == 1)
    #expect(full.error == "mutils: error: standard output: cannot be written: No space left on device\n")
    let json = try Tool.shell("$M prune a.pt -o - --json 2>said > b.pt; cat said", in: folder)
    #expect(try json.json["output"] as? String == "-")
    #expect(try Tool.run("info", "b.pt", in: folder.url).status == 0)
    let sharded = try Tool.shell("$M prune a.pt -o - --max-shard-size 1MB > c", in: folder)
    #expect(sharded.status == 1 && sharded.error.contains("shards are several files"))
  }
}
