import Foundation
import ModelCore
import ModelData
import ModelImages
import SystemPackage
import TestSupport
import Testing

@Suite struct DetectionSetTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func add(_ name: String, _ rows: String? = nil, height: Int = 12, width: Int = 20) throws {
    try FolderMaker.make(folder[name])
    try ImageFile(pixels: picture(height, width, 3)).write(to: folder[name])
    if let rows {
      let label = DetectionSet.labelFile(of: FilePath(name)).string
      try FolderMaker.make(folder[label])
      try folder.write(rows, to: label)
    }
  }

  private func description(_ text: String) throws -> DetectionDescription {
    try DetectionDescription(contentsOf: folder.write(text, to: "data.yaml"))
  }

  private func names(_ set: DetectionSet) -> [String] {
    set.samples.map { String($0.path.string.dropFirst(folder.path.string.count + 1)) }
  }

  @Test func folders() throws {
    try add("images/b.png", "1 0.5 0.5 0.25 0.5\n")
    try add("images/B/c.jpg", "0 .1 .2 .1 .1\r\n\r\n1 .5 .5 1 1", height: 30)
    try add("images/a.png")
    try add("images/.hidden.png")
    try folder.write("no picture", to: "images/notes.md")
    let set = try description("train: images\nnames: {0: x, 1: y}\n").set(.train)
    #expect(names(set) == ["images/B/c.jpg", "images/a.png", "images/b.png"])
    #expect(set.classNames == ["x", "y"] && set.count == 3)
    #expect(set.samples.map(\.size) == [[30, 20], [12, 20], [12, 20]])
    #expect(set.samples[2].labels == [BoxLabel(classIndex: 1, x: 0.5, y: 0.5, width: 0.25, height: 0.5)])
    #expect(set.samples[0].labels.map(\.classIndex) == [0, 1] && set.samples[1].labels.isEmpty)
    #expect(set.report.pictureCount == 3 && set.report.boxCount == 3 && set.report.unlabelledCount == 1)
    #expect(set.report.boxesByClass == [1, 2] && set.report.notes.isEmpty)
    #expect(try set.picture(1).shape == [12, 20, 3])
    #expect(refusal { _ = try set.picture(3) }?.contains("has 3 pictures, none at 3") == true)
  }

  @Test(arguments: [
    ("/a/images/train/x.png", "/a/labels/train/x.txt"), ("images/x.jpeg", "labels/x.txt"), ("/a/b/x.png", "/a/b/x.txt"),
    ("/images/images/images.png", "/images/labels/images.txt"), ("x.png", "x.txt"),
    ("/a/myimages/x", "/a/myimages/x.txt"),
    ("../images/a.b.png", "../labels/a.b.txt"),
  ]) func labelFiles(picture: String, label: String) {
    #expect(DetectionSet.labelFile(of: FilePath(picture)) == FilePath(label))
  }

  @Test func listsAndRoots() throws {
    try add("set/images/a.png", "0 .5 .5 .1 .1")
    try add("set/images/b.png", "0 .5 .5 .1 .1")
    try add("set/more/images/c.png")
    try folder.write("./images/a.png\n\n  images/b.png \r\nimages/a.png\n", to: "set/list.txt")
    let lists = try description("path: set\ntrain: list.txt\nval: [more, images]\nnc: 1\n")
    let training = try lists.set(.train)
    #expect(training.samples.map { $0.path.stem } == ["a", "b"] && training.classNames == ["0"])
    #expect(training.report.notes.first?.reason.contains("more than once") == true)
    #expect(try lists.set(.val).samples.map { $0.path.stem } == ["a", "b", "c"])
    #expect(try description("train: ../set/more\nnc: 1\n").set(.train).count == 1)
    #expect(refusal { _ = try lists.set(.test) }?.hasSuffix("names nothing for 'test'") == true)
    try folder.write("images/a.png\nimages/none.png\n", to: "set/list.txt")
    let message = refusal { _ = try lists.set(.train) }
    #expect(message?.contains("list.txt: line 2: names a picture that is not there") == true)
    try folder.write([0x80, 0x0a], to: "set/list.txt")
    #expect(refusal { _ = try lists.set(.train) }?.contains("line 1: is no UTF-8") == true)
  }

  @Test func labels() throws {
    try add(
      "images/a.png",
      """
      1 0.7 0.5 0.2 0.2
      0 0.1 0.2 0.5 0.3 0.4 0.8 0.2 0.9
      1 0.7 0.5 0.2 0.2
      1.0 0.2 0.5 0 0.2
      """)
    let set = try description("train: images\nnames: [x, y]\n").set(.train)
    // Rows that are reduced are sorted.
    let labels = set.samples[0].labels
    #expect(labels.map(\.classIndex) == [0, 1, 1] && labels.map(\.x) == [0.3, 0.2, 0.7])
    #expect(labels[0].width == 0.4 && abs(labels[0].height - 0.7) < 1e-6 && abs(labels[0].y - 0.55) < 1e-6)
    #expect(set.report.notes.count == 2)
    #expect(set.report.notes[0].reason == "has 1 rows that stand there already; they count once")
    #expect(set.report.notes[1].reason.contains("without an area"))
  }

  @Test(arguments: [
    ("2 .5 .5 .1 .1", "line 1: has the class 2, where there are 2"), ("\n-1 .5 .5 .1 .1", "line 2: has the class -1"),
    ("0 .5 .5 .1", "line 1: has 4 columns"), ("0 .5 .5 .1 .1 .1", "has 6 columns"), ("0 .5 .5 .1 nan", "has 'nan'"),
    ("0 .5 .5 .1 inf", "has 'inf'"), ("0 .5 .5 .1 0x1", "has '0x1'"), ("0 .5 .5 .1 -.1", "has -.1 where shares"),
    ("0 .5 1.0001 .1 .1", "has 1.0001 where shares"), ("0.5 .5 .5 .1 .1", "has the class 0.5"),
    ("1e400 .5 .5 .1 .1", "has '1e400'"), ("1e30 .5 .5 .1 .1", "has the class 1e30"),
    ("0,.5,.5,.1,.1", "has 1 columns"),
  ]) func badLabels(rows: String, reason: String) throws {
    try add("images/a.png", rows)
    let description = try description("train: images\nnames: [x, y]\n")
    let message = refusal { _ = try description.set(.train) }
    #expect(message?.contains("a.txt: ") == true && message?.contains(reason) == true, "\(message ?? "accepted")")
    #expect(try description.report(.train).faultCount == 1)
  }

  @Test func manyFaults() throws {
    for index in 0..<5 { try add("images/\(index).png", "9 .5 .5 .1 .1\n0 1 2\n") }
    try add("images/5.png", height: 9)
    try folder.write("no picture", to: "images/6.png")
    try folder.write("BM", to: "images/7.bmp")
    let description = try description("train: images\nnames: [x]\n")
    let message = try #require(refusal { _ = try description.set(.train) })
    #expect(message.contains("images: has 13 faults: ") && message.hasSuffix(" and 10 more"))
    #expect(message.contains("0.txt: line 1: has the class 9") && message.contains("0.txt: line 2: has 3 columns"))
    let report = try description.report(.train, decoding: false)
    #expect(report.faultCount == 13 && report.faults.count == 13 && report.pictureCount == 0)
    #expect(report.faults[10].reason == "is 20x9 pixels, where sides have at least 10")
    #expect(report.faults[11].description.hasSuffix("6.png: is neither a PNG nor a JPEG picture"))
    #expect(report.faults[12].reason.contains("format that is not read"))
  }

  @Test func damageBehindTheHead() throws {
    try add("images/a.png", height: 60, width: 60)
    let whole = try Data(contentsOf: URL(fileURLWithPath: folder["images/a.png"].string))
    try folder.write(whole.prefix(whole.count / 2), to: "images/a.png")
    let description = try description("train: images\nnames: [x]\n")
    let set = try description.set(.train)
    #expect(refusal { _ = try set.picture(0) }?.contains("a.png: ") == true)
    #expect(refusal { _ = try description.set(.train, decoding: true) }?.contains("a.png: ") == true)
    #expect(try description.report(.train).faultCount == 1)
  }

  @Test func links() throws {
    try add("images/a.png")
    try FileManager.default.createSymbolicLink(
      atPath: folder["images/again"].string, withDestinationPath: folder["images"].string)
    let loop = try description("train: images\nnames: [x]\n")
    #expect(refusal { _ = try loop.set(.train) }?.contains("again: is a link that leads back") == true)
    try FileManager.default.removeItem(atPath: folder["images/again"].string)
    try add("elsewhere/b.png")
    try FileManager.default.createSymbolicLink(
      atPath: folder["images/linked"].string, withDestinationPath: folder["elsewhere"].string)
    #expect(try loop.set(.train).samples.map { $0.path.stem } == ["a", "b"])
    try FileManager.default.createSymbolicLink(
      atPath: folder["elsewhere/self"].string, withDestinationPath: folder["elsewhere/self"].string)
    #expect(try loop.set(.train).count == 2)
  }

  @Test func partsThatAreNotUsedNeedNotBeThere() throws {
    try add("images/a.png")
    let described = try description("train: none\nval: [images, gone]\ntest: images\nnc: 1\n")
    #expect(try described.set(.test).count == 1)
    #expect(described.parts.keys.count == 3)
    for (part, line) in [(DetectionDescription.Part.train, "line 1: 'train'"), (.val, "line 2: 'val'")] {
      #expect(refusal { _ = try described.set(part) }?.contains("\(line) names a place that is not there") == true)
    }
  }

  @Test(arguments: [
    ("", "describes nothing"), ("- 1", "is no mapping"), ("train: images", "has neither 'names' nor 'nc'"),
    ("train: none\nnc: 1", "line 1: 'train' names a place that is not there: none"),
    ("train: {a: b}\nnc: 1", "'train' must be a folder"), ("train: images\nnc: 0", "'nc' must be"),
    ("train: images\nnc: 99999999999999999999", "'nc' must be"),
    ("train: images\nnc: 2\nnames: [a]", "1 names where 'nc' is 2"),
    ("train: images\nnames: {0: a, 2: b}", "'names' must be"), ("train: images\nnames: x", "'names' must be"),
    ("train: images\nnames: [[a]]", "'names' must be"), ("train: images\nnames: []", "'names' must be"),
    ("train: data.yaml\nnc: 1", "is neither a folder nor a .txt"), ("train: images\nnc: 1", "images: has no pictures"),
  ]) func badDescriptions(text: String, reason: String) throws {
    try FolderMaker.make(folder["images/x"])
    let message = refusal { _ = try description(text).set(.train) }
    #expect(message?.contains(reason) == true, "\(message ?? "accepted")")
  }
}
