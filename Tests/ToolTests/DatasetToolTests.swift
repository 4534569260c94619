import Foundation
import Testing

/// `mutils dataset`: what is drawn, said and refused. Interop compares pixels with NumPy's and Pillow's.
@Suite struct DatasetToolTests {
  private let shapes = ["dataset", "shapes", "set", "--train", "4", "--val", "2", "--size", "32"]

  @Test func shapesAndCheck() throws {
    let folder = try Folder()
    let drawn = try Tool.run(shapes, in: folder.url)
    #expect(drawn.status == 0 && drawn.error.isEmpty)
    #expect(drawn.output == "Drew 4 + 2 pictures of 32x32 with 18 objects of 6 classes\nSaved set/data.yaml\n")
    let text = try String(contentsOf: folder.url("set/data.yaml"), encoding: .utf8)
    #expect(text.hasPrefix("# mutils dataset shapes --train 4 --val 2 --size 32 --seed 7\ntrain: 'images/train'\n"))
    let checked = try Tool.run("dataset", "check", "set", in: folder.url)
    #expect(checked.status == 0 && checked.error.isEmpty)
    #expect(checked.output.hasPrefix("train: 4 pictures with ") && checked.output.hasSuffix("\nNo faults\n"))
    let again = try Tool.run(shapes, in: folder.url)
    #expect(again.status == 1)
    #expect(again.error == "mutils: error: set: holds something already; give a folder that is new or empty\n")
  }

  @Test func json() throws {
    let folder = try Folder()
    let drawn = try Tool.run(shapes + ["--json", "--seed", "0", "--absolute"], in: folder.url).json
    #expect(drawn["output"] as? String == "set/data.yaml" && drawn["size"] as? Int == 32 && drawn["seed"] as? Int == 0)
    #expect(drawn["names"] as? [String] == ["circle", "square", "triangle", "star", "cross", "ring"])
    let train = try #require(drawn["train"] as? [String: Any])
    #expect(train["pictures"] as? Int == 4 && (train["objects"] as? [Int])?.count == 6)
    let text = try String(contentsOf: folder.url("set/data.yaml"), encoding: .utf8)
    #expect(text.contains("train: '/") && text.contains("/set/images/train'\n"))
    let checked = try Tool.run("dataset", "check", "set/data.yaml", "--json", in: folder.url).json
    let parts = try #require(checked["parts"] as? [[String: Any]])
    #expect(checked["faultCount"] as? Int == 0 && parts.map { $0["part"] as? String } == ["train", "val"])
    #expect(parts[0]["pictures"] as? Int == 4 && (parts[0]["classes"] as? [Any])?.count == 6)
  }

  @Test func faults() throws {
    let folder = try Folder()
    try #require(Tool.run(shapes, in: folder.url).status == 0)
    try Data("0 .5 .5 .1\n".utf8).write(to: folder.url("set/labels/val/00001.txt"))
    let checked = try Tool.run("dataset", "check", "set", in: folder.url)
    #expect(checked.status == 1 && checked.error.isEmpty && checked.output.hasSuffix("\n1 fault\n"))
    #expect(
      checked.output.contains(
        "  fault: set/labels/val/00001.txt: line 1: has 4 columns where 5 are expected: class, x, y, width, height\n"))
    try FileManager.default.removeItem(at: folder.url("set/labels"))
    let bare = try Tool.run("dataset", "check", "set", in: folder.url)
    #expect(bare.status == 1 && bare.output.contains("  fault: set/data.yaml: 'train' has not one box to learn from\n"))
    try FileManager.default.removeItem(at: folder.url("set/images/val"))
    let gone = try Tool.run("dataset", "check", "set", in: folder.url)
    #expect(gone.status == 1 && gone.error.contains("line 3: 'val' names a place that is not there: images/val"))
    try FileManager.default.createDirectory(at: folder.url("set/images/val"), withIntermediateDirectories: true)
    #expect(try Tool.run("dataset", "check", "set", in: folder.url).error.hasSuffix("images/val: has no pictures\n"))
    try Data("nc: 3\n".utf8).write(to: folder.url("set/data.yaml"))
    #expect(try Tool.run("dataset", "check", "set", in: folder.url).error.contains("names no pictures"))
    #expect(try Tool.run("dataset", "check", "none", in: folder.url).status == 1)
  }

  @Test func garmentsAreRefused() throws {
    let folder = try Folder()
    let missing = try Tool.run("dataset", "garments", "set", "--pictures", "none", in: folder.url)
    #expect(missing.status == 1 && missing.error.contains("train-images-idx3-ubyte: is not there"))
    #expect(try folder.names.isEmpty)
  }

  @Test(arguments: [
    ["--train", "0"], ["--train", "100001"], ["--val", "0"], ["--size", "15"], ["--size", "2049"], ["--seed", "-1"],
    ["--seed", "18446744073709551616"], ["--train", "x"], ["--threads", "0"], ["more"],
  ]) func wrongUsage(options: [String]) throws {
    let folder = try Folder()
    #expect(try Tool.run(["dataset", "shapes", "set"] + options, in: folder.url).status == 64)
    #expect(try Tool.run(["dataset"], in: folder.url).output.contains("garments"))
    #expect(try folder.names.isEmpty)
  }

  @Test func nothingIsLeftOfWhatIsInterrupted() throws {
    let folder = try Folder()
    let process = Process()
    process.executableURL = Tool.url
    process.arguments = ["dataset", "shapes", "set", "--train", "100000", "--size", "256", "--threads", "1"]
    process.currentDirectoryURL = folder.url
    let error = Pipe()
    (process.standardOutput, process.standardError) = (FileHandle.nullDevice, error)
    try process.run()
    let picture = folder.url("set/images/train/00000.png").path
    while process.isRunning, !FileManager.default.fileExists(atPath: picture) { Thread.sleep(forTimeInterval: 0.05) }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationStatus == 130 && process.terminationReason == .exit)
    let said = String(decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(said.hasSuffix("mutils: note: interrupted: nothing of the set is left\n"))
    #expect(try folder.names.isEmpty)
  }
}
