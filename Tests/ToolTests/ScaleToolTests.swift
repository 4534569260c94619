import Foundation
import Testing

/// `mutils scale`: lines, JSON, places of outputs, refusals. The pixels are compared with PyTorch's in ModelImagesTests
/// and Interop.
@Suite struct ScaleToolTests {
  /// A picture of 120x160 under the given names: the embedded one, written at ratio 1.
  func pictures(_ names: String..., in folder: Folder) throws {
    for name in names {
      #expect(try Tool.run("scale", "--ratio", "1", "-o", folder.path(name), "--quiet").status == 0)
    }
  }

  @Test func onePicture() throws {
    let folder = try Folder()
    try pictures("photo.jpg", in: folder)
    let result = try Tool.run("scale", folder.path("photo.jpg"), "--ratio", "0.83", "-o", folder.path("out.png"))
    #expect(result.status == 0 && result.error.isEmpty)
    #expect(result.output == "photo.jpg 120x160 -> 99x132, padded to 128x160\nSaved \(folder.path("out.png"))\n")
    let json = try Tool.run(
      "scale", folder.path("photo.jpg"), "--ratio", "2", "--same-shape", "-o", folder.path("b.jpeg"), "--json"
    ).json
    #expect(json["input"] as? [Int] == [120, 160] && json["resampled"] as? [Int] == [240, 320])
    #expect(json["output"] as? [Int] == [120, 160] && json["padding"] as? [Int] == [-120, -160])
    #expect(json["file"] as? String == folder.path("b.jpeg"))
    let beside = try Tool.run("scale", folder.path("photo.jpg"), "--grid", "64")
    #expect(beside.output.hasPrefix("photo.jpg 120x160 -> 99x132, padded to 128x192\n"))
    #expect(try folder.names == ["b.jpeg", "out.png", "photo-scaled.jpg", "photo.jpg"])
  }

  @Test func theEmbeddedPicture() throws {
    let folder = try Folder()
    let result = try Tool.run("scale", in: folder.url)
    #expect(result.output == "sample.jpg 120x160 -> 99x132, padded to 128x160\n")
    #expect(result.error == "mutils: note: no picture given: using the embedded sample\n")
    #expect(try Tool.run("scale", "-q", "--threads", "1", in: folder.url).error.isEmpty)
    #expect(try folder.names.isEmpty, "the embedded picture writes nothing")
  }

  @Test func foldersAndBatches() throws {
    let folder = try Folder()
    try FileManager.default.createDirectory(at: folder.url("in"), withIntermediateDirectories: true)
    try pictures("in/b.png", "in/a.jpg", in: folder)
    try Data("no picture".utf8).write(to: folder.url("in/notes.txt"))
    let result = try Tool.run("scale", folder.path("in"), "-o", folder.path("new/out"))
    let lines = "a.jpg 120x160 -> 99x132, padded to 128x160\nb.png 120x160 -> 99x132, padded to 128x160\n"
    #expect(result.output == lines + "Saved \(folder.path("new/out"))\n" && result.error.isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("new/out")).sorted() == ["a.jpg", "b.png"])
    let again = try Tool.run("scale", folder.path("in"), "-o", folder.path("new/out"))
    #expect(again.status == 1 && again.error.hasSuffix("a.jpg: exists already; give --force to replace it\n"))
    let json = try Tool.run("scale", folder.path("in"), "-o", folder.path("new/out"), "-f", "--json").json
    #expect((json["images"] as? [[String: Any]])?.map { $0["name"] as? String } == ["a.jpg", "b.png"])
    let batch = folder.path("batch.safetensors")
    let stacked = try Tool.run("scale", folder.path("in/a.jpg"), folder.path("in"), "--batch", "-o", batch)
    #expect(stacked.status == 0 && stacked.output.hasSuffix("Saved \(batch)\n"))
    let info = try Tool.run("info", batch, "--json").json
    #expect(info["parameters"] as? Int == 3 * 3 * 128 * 160)
  }

  @Test func refusals() throws {
    let folder = try Folder()
    try pictures("a.jpg", in: folder)
    func said(_ arguments: String...) throws -> String {
      let result = try Tool.run(["scale"] + arguments)
      #expect(result.status == 1 && result.output.isEmpty)
      return result.error.replacingOccurrences(of: folder.url.path + "/", with: "")
    }
    let photo = folder.path("a.jpg")
    #expect(try said(folder.path("no.jpg")) == "mutils: error: no.jpg: cannot be opened: No such file or directory\n")
    #expect(try said(photo, "--ratio", "0.001") == "mutils: error: a.jpg: 120x160 scaled by 0.001 would be 0x0\n")
    #expect(try said(photo, "-o", folder.path("x.gif")).hasPrefix("mutils: error: x.gif: has no extension that names"))
    #expect(
      try said(photo, photo) == "mutils: error: 2 pictures need a place to go; give a folder with -o, or --batch\n")
    #expect(try said(photo, photo, "-o", folder.path("d")).contains("would be written for"))
    #expect(try said(photo, "--batch", "-o", folder.path("b.png")).contains("is no safetensors file"))
    #expect(try said(photo, "-o", photo) == "mutils: error: a.jpg: exists already; give --force to replace it\n")
    let whole = try Data(contentsOf: folder.url("a.jpg"))
    try whole.prefix(1500).write(to: folder.url("cut.jpg"))
    #expect(try said(folder.path("cut.jpg")).hasPrefix("mutils: error: cut.jpg: "))
    try Data("hello".utf8).write(to: folder.url("text.png"))
    #expect(try said(folder.path("text.png")) == "mutils: error: text.png: is neither a PNG nor a JPEG picture\n")
    #expect(try !folder.names.contains { $0.contains("-scaled") || $0.contains("partial") })
    for wrong in [["--ratio", "0"], ["--ratio", "nan"], ["--grid", "0"], ["--quality", "101"], ["--batch"]] {
      #expect(try Tool.run(["scale"] + wrong).status == 64)
    }
  }

  /// OpenCV's rounding of the sides; boxes come back by `(point - offset) / scale`.
  @Test func letterbox() throws {
    let folder = try Folder()
    try #require(Tool.run("scale", "--ratio", "1", "--grid", "1", "-o", folder.path("a.png"), "--quiet").status == 0)
    let json = try Tool.run("scale", folder.path("a.png"), "--letterbox", "100x150", "--format", "jpg", "--json").json
    #expect(json["input"] as? [Int] == [120, 160] && json["output"] as? [Int] == [100, 150])
    #expect(json["resampled"] as? [Int] == [100, 133] && json["padding"] as? [Int] == [0, 17])
    #expect(json["offset"] as? [Int] == [0, 8] && json["file"] as? String == folder.path("a-scaled.jpg"))
    let scale = try #require(json["scale"] as? [Double])
    #expect(scale == [100.0 / 120, 100.0 / 120])
    #expect((json["images"] as? [[String: Any]])?.count == 1)
    let batch = folder.path("b.safetensors")
    try #require(Tool.run("scale", folder.path("a.png"), "--letterbox", "64", "--batch", "-o", batch).status == 0)
    #expect(try Tool.run("info", batch, "--json", "--tensors").output.contains(#""shape":[1,3,64,64]"#))
    #expect(try Tool.run("scale", folder.path("a.png"), "--letterbox", "64", "--ratio", "1").status == 64)
    #expect(try Tool.run("scale", folder.path("a.png"), "--letterbox", "x").status == 64)
  }
}
