import ModelReports
import TestSupport
import Testing

@Suite struct LinePlotTests {
  private func points(_ plot: LinePlot) throws -> [String?] {
    try #require(elements(plot.svg())).filter { $0.name == "polyline" }.map { $0.attributes["points"] }
  }

  private func words(_ plot: LinePlot) throws -> [String] {
    try #require(elements(plot.svg())).filter { $0.name == "text" }.map(\.text)
  }

  @Test func knownSeries() throws {
    let plot = LinePlot(
      title: "Loss", yLabel: "nats",
      series: [.init("train", values: [1, 0.5, 0]), .init("val", values: [0.8, 0.4, 0.2])])
    // The area spans 72 to 620 across, and 60 to 320 down behind a row of legend.
    #expect(try points(plot) == ["72,60 346,190 620,320", "72,112 346,216 620,268"])
    let ticks = ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    #expect(try words(plot) == ["Loss", "train", "val"] + ticks + ["0", "1", "2", "epoch", "nats"])
    let all = try #require(elements(plot.svg()))
    #expect(all.last?.name == "svg" && all.last?.attributes["viewBox"] == "0 0 640 370")
    #expect(all.filter { $0.name == "circle" }.count == 6)
    #expect(all.contains { $0.name == "title" && $0.text == "train: 0.5 at 1" })
  }

  @Test func gaps() throws {
    let plot = LinePlot(
      title: "", series: [.init("a", values: [0, 1, .nan, 1, nil, 0.5, 0, .infinity, -1e301, 1, 1])])
    #expect(try points(plot) == ["72,320 126.8,60", "346,190 400.8,320", "565.2,60 620,60"])
    // A single point between gaps is a dot.
    #expect(try #require(elements(plot.svg())).filter { $0.name == "circle" }.count == 7)
  }

  @Test func noneAndOneEpoch() throws {
    let none = LinePlot(title: "Loss", series: [.init("train", values: [])])
    #expect(try points(none).isEmpty && words(none).contains("no values"))
    #expect(try words(LinePlot(title: "Loss", series: [])).contains("no values"))
    let one = LinePlot(title: "Loss", series: [.init("train", values: [2])])
    let circles = try #require(elements(one.svg())).filter { $0.name == "circle" }
    #expect(try points(one).isEmpty && !words(one).contains("no values"))
    #expect(circles.map { [$0.attributes["cx"], $0.attributes["cy"]] } == [["346", "190"]])
  }

  @Test func textIsEscaped() throws {
    let bad = "<script>&\"'\0"
    let plot = LinePlot(title: bad, xLabel: bad, yLabel: bad, series: [.init(bad, values: [1, 2])])
    #expect(!plot.svg().contains("<script"))
    let good = "<script>&\"'\u{fffd}"
    #expect(try words(plot).filter { $0 == good }.count == 4)
    #expect(try #require(elements(plot.svg())).last?.attributes["aria-label"] == good)
  }

  @Test func manySeriesAndPoints() throws {
    let series = (0..<20).map { index in
      LinePlot.Series("series number \(index)", values: (0..<50_000).map { Double($0 * (index + 1) % 997) })
    }
    let svg = LinePlot(title: "many", series: series).svg()
    #expect(elements(svg) != nil && svg.utf8.count < 700_000)
    #expect(svg.contains("mu-s7 mu-dashed"))
  }

  @Test func columnsOfATable() throws {
    var table = try ResultsTable(columns: ["epoch", "loss", "top1"])
    for epoch in 0..<3 { try table.append([Double(epoch), 1 / Double(epoch + 1), epoch == 1 ? nil : 0.5]) }
    let plot = try LinePlot(table, columns: ["loss", "top1"], title: "Run")
    #expect(plot.series.map(\.name) == ["loss", "top1"] && plot.xLabel == "epoch")
    #expect(plot.series[1].points == [.init(0, 0.5), .init(2, 0.5)])
    #expect(
      refusal { _ = try LinePlot(table, columns: ["lr"], title: "") } == "lr: is no column of the table")
    let folder = try TemporaryFolder()
    try plot.write(to: folder["loss.svg"])
    #expect(try text(folder["loss.svg"]) == plot.svg())
  }
}
