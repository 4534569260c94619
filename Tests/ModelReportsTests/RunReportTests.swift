import ModelCore
import ModelImages
import ModelReports
import TestSupport
import Testing

@Suite struct RunReportTests {
  private func report() throws -> RunReport {
    var matrix = try ConfusionMatrix(classCount: 3)
    try matrix.add(true: [0, 1, 2, 2], predicted: [0, 1, 2, 0])
    return RunReport(
      title: "Run <1>", figures: [.init("best accuracy", "75.0%")],
      arguments: [.init("data", "a&b\"'<x>"), .init("epochs", "3")],
      plots: [LinePlot(title: "Loss", series: [.init("train", values: [2, 1, 0.5])])],
      confusion: matrix, classNames: ["zero", "one", "<two>"],
      pictures: [
        .init(try noise(28, 28), truth: "zero", prediction: "zero", confidence: 0.9),
        .init(try noise(300, 200), truth: "<two>", prediction: "zero"),
      ])
  }

  @Test func page() throws {
    let html = try report().html()
    let all = try #require(elements(html))
    #expect(all.filter { $0.name == "h2" }.map(\.text) == ["Arguments", "Curves", "Classes: 75.0% right", "Pictures"])
    #expect(all.first { $0.name == "title" }?.text == "Run <1>")
    let cells = all.filter { $0.name == "td" }.map(\.text)
    #expect(cells.prefix(4) == ["data", "a&b\"'<x>", "epochs", "3"])
    #expect(
      cells.dropFirst(4) == [
        "<two>", "zero", "1", "zero", "1", "50.0%", "100.0%", "one", "1", "100.0%", "100.0%", "<two>", "2", "100.0%",
        "50.0%",
      ])
    #expect(all.filter { $0.name == "svg" }.count == 2)
    #expect(all.filter { $0.name == "li" }.map(\.text) == ["zero (90.0%)", "zero, is <two>"])
    #expect(all.filter { $0.name == "li" }.map { $0.attributes["class"] } == ["hit", "miss"])
    let images = all.filter { $0.name == "img" }
    #expect(images.map { $0.attributes["alt"] } == ["true zero, predicted zero", "true <two>, predicted zero"])
    #expect(images.map { [$0.attributes["width"], $0.attributes["height"]] } == [["28", "28"], ["85", "128"]])
    // Nothing is fetched and nothing runs.
    #expect(!html.contains("<script") && !html.contains("<link") && !html.contains("url("))
    let sources = html.split(separator: "src=\"").dropFirst()
    #expect(sources.count == 2 && sources.allSatisfy { $0.hasPrefix("data:image/png;base64,iVBORw0KGgo") })
    #expect(html.ranges(of: "http").count == html.ranges(of: "http://www.w3.org/2000/svg").count + 1)
    let folder = try TemporaryFolder()
    try report().write(to: folder["index.html"])
    #expect(try text(folder["index.html"]) == html)
  }

  @Test func tables() throws {
    var report = RunReport(title: "Detector")
    report.tables = [
      .init(title: "By <class>", columns: ["class", "AP"], rows: [["a&b", "1%"], ["c", "2%"]]),
      .init(title: "Empty", columns: ["x"], rows: []),
    ]
    let all = try #require(elements(report.html()))
    #expect(all.filter { $0.name == "h2" }.map(\.text) == ["By <class>"])
    #expect(all.filter { $0.name == "th" }.map(\.text) == ["class", "AP"])
    #expect(all.filter { $0.name == "td" }.map(\.text) == ["a&b", "1%", "c", "2%"])
  }

  @Test func emptyPartsAreLeftOut() throws {
    let all = try #require(elements(RunReport(title: "Nothing").html()))
    #expect(!all.contains { ["section", "dl", "table"].contains($0.name) })
  }

  @Test func picturesFit() throws {
    var report = RunReport(title: "Noise")
    let picture = try noise(96, 96)
    report.pictures = (0..<60).map { _ in .init(picture, truth: "a", prediction: "b") }
    let html = try report.html()
    let images = try #require(elements(html)).filter { $0.name == "img" }
    #expect(html.utf8.count <= RunReport.sizeLimit && images.count == 60)
    #expect(images.allSatisfy { $0.attributes["width"] == "64" })
    let small = try noise(32, 40)
    report.pictures = (0..<410).map { _ in .init(small, truth: "a", prediction: "b") }
    let full = try report.html()
    #expect(full.utf8.count <= RunReport.sizeLimit)
    #expect(try #require(elements(full)).filter { $0.name == "img" }.count == 400)
    #expect(full.contains("<p>10 more did not fit.</p>"))
  }

  @Test func hundredsOfClasses() throws {
    let large = try RunReport(title: "", confusion: ConfusionMatrix(classCount: 1000)).html()
    #expect(large.contains("A matrix of 1000 classes is too large to be drawn."))
    #expect(elements(large) != nil)
  }

  @Test func tooLarge() throws {
    let entry = RunReport.Entry("name", String(repeating: "&", count: 500))
    let report = RunReport(title: "", arguments: [RunReport.Entry](repeating: entry, count: 1000))
    #expect(
      refusal { _ = try report.html() }
        == "the page would have more than 2000000 bytes; give it fewer plots, or write plots by themselves")
  }
}
